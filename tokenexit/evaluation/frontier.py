"""The frontier of measured settings: the best quality for a budget, and measures read off it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LOW, HIGH = 0.2, 1.0
"""Budgets that the area covers, as shares of the plain model's multiply-accumulates."""

SPEEDS = (1.5, 2.0, 3.0)
"""Savings at which qualities are compared."""

_EDGE = 1e-9


@dataclass(frozen=True)
class Frontier:
    """Settings that no cheaper one equals, joined by straight lines.

    A point between two settings is reached by drawing one of the two for each text, so for an
    accuracy the lines are attainable; for F1, which is no mean over texts, they are close to it.

    Attributes:
        costs: Rising.
        qualities: Of each; rising.
    """

    costs: tuple[float, ...]
    qualities: tuple[float, ...]

    def at(self, cost: float) -> float | None:
        """Quality for a budget; None below the cheapest setting, the best above the dearest."""
        if not self.costs or cost < self.costs[0] - _EDGE:
            return None
        return float(np.interp(cost, self.costs, self.qualities))

    def area(self, *, low: float = LOW, high: float = HIGH, guess: float = 0.0) -> float:
        """Mean quality over all budgets from ``low`` to ``high``.

        The area under the frontier between the two, divided by their distance, so that it is on
        the scale of the quality. Nothing is extrapolated upwards: above the dearest setting the
        line is level. Below the cheapest it falls to what costs nothing, a guess, at cost 0.

        Args:
            low: Smallest budget.
            high: Largest.
            guess: Quality of the commonest class as the answer to everything.
        """
        whole = frontier([(0.0, guess), *zip(self.costs, self.qualities, strict=True)])
        cuts = np.array([low, *(c for c in whole.costs if low < c < high), high])
        return float(
            np.trapezoid(np.interp(cuts, whole.costs, whole.qualities), cuts) / (high - low)
        )


def frontier(points: Iterable[tuple[float, float]]) -> Frontier:
    """The frontier of ``(cost, quality)`` points: those better than all that cost no more."""
    kept: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not (math.isfinite(cost) and math.isfinite(quality)):
            continue
        if not kept or quality > kept[-1][1]:
            kept.append((cost, quality))
    return Frontier(tuple(c for c, _ in kept), tuple(q for _, q in kept))


def at_speeds(found: Frontier) -> dict[str, float | None]:
    """Quality at each of ``SPEEDS``, None where no setting saves so much: ``{"1.5": ...}``."""
    return {f"{speed:g}": found.at(1 / speed) for speed in SPEEDS}


def fastest_keeping(points: Iterable[tuple[float, float]], quality: float) -> float | None:
    """The largest saving among ``(speedup, quality)`` settings that keep a quality."""
    kept = [speedup for speedup, reached in points if reached >= quality - _EDGE]
    return max(kept, default=None)
