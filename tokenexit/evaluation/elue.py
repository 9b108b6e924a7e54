"""How far a method's settings lie above a baseline of the same cost: the ELUE score."""

from __future__ import annotations

from collections.abc import Iterable

from tokenexit.evaluation.frontier import Frontier


def elue_score(points: Iterable[tuple[float, float]], reference: Frontier) -> float | None:
    """Mean difference of quality to the reference at the same cost (Liu et al. 2022).

    As the About page of the ELUE leaderboard defines it: ``1/n sum (perf_i - perf_EB(flops_i))``
    over the points of a submission, where ``perf_EB`` joins those of ElasticBERT-base, one for each
    of its 12 depths. Those points were published as figures, of six data sets, and no numbers of
    them could be read: whoever has some gives them (``elue_reference`` of ``compare_methods``).
    Otherwise the reference is the baseline measured in the same comparison, the first layers only,
    and scores of different comparisons do not compare. Costs here are multiply-accumulates over
    the plain model's. Points cheaper than all of the reference are left out; give it a point at
    cost 0 to keep them.

    Args:
        points: ``(cost, quality)`` of every setting that was run.
        reference: Of the baseline.

    Returns:
        The score, on the scale of the quality; None without a point to compare.
    """
    pairs = [(quality, reference.at(cost)) for cost, quality in points]
    gains = [quality - other for quality, other in pairs if other is not None]
    return sum(gains) / len(gains) if gains else None
