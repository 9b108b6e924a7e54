"""Seconds of each operation by its number of rows, learned from runs that were timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.clock.counts import Counts, resolved
from tokenexit.extras import require_libraries


@dataclass(frozen=True)
class Cost:
    """One operation: seconds at some numbers of rows, rising; between them a straight line.

    Attributes:
        rows: From few to many.
        seconds: At each of them.
    """

    rows: tuple[float, ...]
    seconds: tuple[float, ...]

    def at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds at any numbers of rows; beyond the most that was measured, in proportion."""
        beyond = np.maximum(rows / self.rows[-1], 1.0)
        return np.interp(rows, self.rows, self.seconds) * beyond


@dataclass(frozen=True)
class CostModel:
    """What one machine takes for the operations of one model.

    Attributes:
        costs: By operation, see ``Counts``.
        scoring: Questions for which a head scores all rows that are asked about, so that those
            that leave have been scored.
        conditions: Machine, precision, model and the like: where it holds.
        error: Median error of the runs it was learned from, as a share.
        spent: Seconds that measuring took.
        runs: Runs that were timed.
    """

    costs: Mapping[str, Cost]
    scoring: tuple[str, ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    error: float = 0.0
    spent: float = 0.0
    runs: int = 0

    def seconds(self, counts: Counts) -> float:
        """Time of a run; operations that were never measured count nothing."""
        found = resolved(counts, self.scoring)
        known = ((self.costs[name], rows) for name, rows in found.items() if name in self.costs)
        return sum(float(cost.at(rows).sum()) for cost, rows in known)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from plain data.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        costs = {
            str(name): Cost(tuple(map(float, one["rows"])), tuple(map(float, one["seconds"])))
            for name, one in data["costs"].items()
        }
        if not all(c.rows and len(c.rows) == len(c.seconds) for c in costs.values()):
            raise ValueError("a cost without rows")
        return cls(
            costs,
            tuple(map(str, data["scoring"])),
            dict(data["conditions"]),
            float(data["error"]),
            float(data["spent"]),
            int(data["runs"]),
        )


def fit(runs: Sequence[tuple[Counts, float]]) -> tuple[dict[str, Cost], float]:
    """Learn the cost of every operation.

    Costs are at least 0 and rise with the rows, and every run weighs as much as any other,
    however long it took.

    Args:
        runs: What each consisted of, and its seconds.

    Returns:
        Costs by operation, and the median error of the runs as a share.
    """
    require_libraries("scipy")
    from scipy.optimize import nnls

    names = list(dict.fromkeys(name for counts, _ in runs for name in counts))
    knots = {name: _knots([c[name] for c, _ in runs if len(c.get(name, ()))]) for name in names}
    knots = {name: places for name, places in knots.items() if len(places)}
    seconds = np.array([taken for _, taken in runs])
    columns = [
        np.stack([_basis(counts.get(name, np.zeros(0)), places) for counts, _ in runs])
        for name, places in knots.items()
    ]
    table = np.concatenate(columns, axis=1) / seconds[:, None]
    steps = nnls(table, np.ones(len(runs)))[0]
    error = float(np.median(np.abs(table @ steps - 1.0)))
    costs, start = {}, 0
    for name, places in knots.items():
        rise = steps[start : start + len(places)].cumsum()
        costs[name] = Cost(tuple(places.tolist()), tuple(rise.tolist()))
        start += len(places)
    return costs, error


def _knots(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The least and the most rows that were seen, and the powers of two between."""
    if not rows:
        return np.zeros(0)
    every = np.concatenate(rows)
    low, high = float(every.min()), float(every.max())
    between = 2.0 ** np.arange(0, 40)
    return np.unique([low, *between[(between > low) & (between < high)], high])


def _basis(rows: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the first cost and of each rise after it in the time of a run, ``[K]``."""
    beyond = np.maximum(rows / knots[-1], 1.0)
    parts = [np.ones(len(rows))]
    for low, high in pairwise(knots):
        parts.append(np.clip((rows - low) / (high - low), 0.0, 1.0))
    return np.array([float((part * beyond).sum()) for part in parts])
