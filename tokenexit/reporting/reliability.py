"""Is a word that left with 90% confidence right nine times out of ten?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenexit.reporting.table import Table
from tokenexit.reporting.word_trace import WordTrace
from tokenexit.wording.naming import capital, fixed, whole

BINS = 15
"""As in Guo et al. (2017)."""


@dataclass(frozen=True)
class Bin:
    """Words of similar confidence.

    Attributes:
        confidence: Their mean confidence.
        accuracy: The share that was right.
        count: How many.
    """

    confidence: float
    accuracy: float
    count: int


ENOUGH = 20
"""Words a bin needs to be drawn."""


@dataclass(frozen=True)
class Reliability:
    """Confidence against truth.

    Attributes:
        layer: Exit the words left at, 0 for all together.
        bins: Bins that hold words.
        count: Words.
        confidence: Their mean confidence.
        accuracy: The share that was right.
        ece: Expected calibration error.
    """

    layer: int
    bins: tuple[Bin, ...]
    count: int
    confidence: float
    accuracy: float
    ece: float

    def solid(self) -> list[Bin]:
        """Bins with enough words to mean something; all of them when there are only small ones."""
        return [b for b in self.bins if b.count >= ENOUGH] or list(self.bins)


def reliability(words: WordTrace) -> list[Reliability]:
    """All exits together, then each one; only words with a gold label count."""
    if words.numbers:
        return []
    confidence = words.confidence[words.known]
    right = (words.prediction == words.gold)[words.known]
    layer = words.exit_layer[words.known]
    if not len(layer):
        return []
    pooled = _measure(0, confidence, right)
    exits = [
        _measure(int(number), confidence[layer == number], right[layer == number])
        for number in np.unique(layer)
    ]
    return [pooled, *exits]


def reliability_table(found: Sequence[Reliability], unit: str) -> Table:
    """All exits together, then each one.

    Args:
        found: See ``reliability``.
        unit: What leaves at an exit.
    """
    rows = [
        [str(r.layer or "all"), whole(r.count), *map(fixed, (r.confidence, r.accuracy, r.ece))]
        for r in found
    ]
    return Table(["Exit", f"{capital(unit)}s", "Mean confidence", "Accuracy", "ECE"], rows)


def _measure(layer: int, confidence: NDArray, right: NDArray) -> Reliability:
    place = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    bins = tuple(
        Bin(
            confidence=float(confidence[place == number].mean()),
            accuracy=float(right[place == number].mean()),
            count=int((place == number).sum()),
        )
        for number in np.unique(place)
    )
    return Reliability(
        layer=layer,
        bins=bins,
        count=len(right),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        ece=sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / len(right),
    )
