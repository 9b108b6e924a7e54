"""How far a method's settings lie above a baseline of the same cost: the ELUE score."""

from __future__ import annotations

from collections.abc import Iterable

from tokenexit.evaluation.frontier import Frontier


def elue_score(points: Iterable[tuple[float, float]], reference: Frontier) -> float | None:
    """Mean difference of quality to the reference at the same cost (Liu et al. 2022).

    The paper's reference is a published curve of ElasticBERT models of several depths; here it
    is the baseline measured in the same comparison, the first layers only, so scores of
    different comparisons do not compare. That the paper scores Pareto improvement over
    ElasticBERT was checked in its abstract and introduction; the mean over settings of the
    difference at equal FLOPs is from memory. Costs here are multiply-accumulates over the plain
    model's. Points cheaper than all of the reference are left out; give it a point at cost 0 to
    keep them.

    Args:
        points: ``(cost, quality)`` of every setting that was run.
        reference: Of the baseline.

    Returns:
        The score, on the scale of the quality; None without a point to compare.
    """
    pairs = [(quality, reference.at(cost)) for cost, quality in points]
    gains = [quality - other for quality, other in pairs if other is not None]
    return sum(gains) / len(gains) if gains else None
