"""What was tried of a reducer, and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tokenexit.calibration.rows.config import ReducerGoal


@dataclass(frozen=True)
class TriedReducer:
    """One setting, run on the split with nobody leaving.

    Attributes:
        reducer: As plain data.
        quality: Of the model with it.
        relative_quality: Share of the quality without any reducer.
        mac_ratio: Multiply-accumulates over the plain model's.
    """

    reducer: dict[str, Any]
    quality: float
    relative_quality: float
    mac_ratio: float


@dataclass(frozen=True)
class FoundReducer:
    """The choice, and everything it was made from.

    Attributes:
        split: Where it was measured.
        n_sentences: Texts there.
        reducer: The choice, as plain data.
        reached: Whether it is as asked.
        goal: What was asked, as plain data.
        metric: What quality is.
        quality_full: That of the model without a reducer.
        chosen: Figures of the choice.
        tried: Everything that was run, the most work first.
    """

    split: str
    n_sentences: int
    reducer: dict[str, Any]
    reached: bool
    goal: dict[str, Any]
    metric: str
    quality_full: float
    chosen: TriedReducer
    tried: list[TriedReducer]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def for_model(self) -> dict[str, Any]:
        """What is saved with the model itself: the choice without all that was tried."""
        return {key: value for key, value in self.to_json().items() if key != "tried"}


def frontier_of(tried: Sequence[TriedReducer]) -> list[TriedReducer]:
    """Those that nobody beats in both work and kept quality, the least work first."""
    found: list[TriedReducer] = []
    for one in sorted(tried, key=lambda one: (one.mac_ratio, -one.relative_quality)):
        if not found or one.relative_quality > found[-1].relative_quality:
            found.append(one)
    return found


def best_of(tried: Sequence[TriedReducer], goal: ReducerGoal) -> tuple[TriedReducer, bool]:
    """The best of what is as asked, else the nearest to it; and whether it is as asked."""
    front = frontier_of(tried)
    kept, budget = goal.kept, 1 / goal.speedup if goal.speedup is not None else float("inf")
    if kept is None:
        within = [one for one in front if one.mac_ratio <= budget]
        return (within[-1], True) if within else (front[0], False)
    good = next((one for one in front if one.relative_quality >= kept), None)
    return (front[-1], False) if good is None else (good, good.mac_ratio <= budget)
