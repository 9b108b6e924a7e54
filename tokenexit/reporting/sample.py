"""Which texts of a trace a reader is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

SAMPLE = 18
"""Texts that are shown."""


DRAWN = "A draw at even distances, not picked"


def sample(count: int, wanted: Mapping[str, Sequence[float]]) -> dict[str, list[int]]:
    """Choose texts for several reasons, and a draw at even distances; none twice.

    Args:
        count: How many there are.
        wanted: By reason, how well each text serves it; 0 when not at all.

    Returns:
        Numbers of texts by reason, the draw first, each in order of the data.
    """
    rest = list(range(count))
    if count <= SAMPLE:
        return {"All texts": rest} if rest else {}
    found = {}
    for reason, scores in wanted.items():
        found[reason] = _best(scores, rest, SAMPLE // (len(wanted) + 1))
        rest = sorted(set(rest) - set(found[reason]))
    evenly = np.linspace(0, len(rest) - 1, SAMPLE - sum(map(len, found.values()))).astype(int)
    drawn = [rest[row] for row in sorted(set(evenly.tolist()))]
    return {reason: rows for reason, rows in {DRAWN: drawn, **found}.items() if rows}


def _best(scores: Sequence[float], among: list[int], count: int) -> list[int]:
    """The ``count`` texts of highest score above 0."""
    ranked = sorted((row for row in among if scores[row] > 0), key=lambda row: -scores[row])
    return sorted(ranked[:count])
