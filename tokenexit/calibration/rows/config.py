"""What a reducer is to keep or to save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenexit.config.limits import check_limits, setting
from tokenexit.errors import UserError, unknown_name

WAYS = ("threshold", "search")


@dataclass(frozen=True)
class ReducerGoal:
    """How a model's reducer is chosen on the validation split, before its policy.

    Everything is held to the same model without a reducer. With both goals given, the least work
    that keeps ``min_quality`` is taken, and has to be within ``speedup`` as well.
    """

    by: Literal["threshold", "search"] | None = setting(
        None,
        "turn the reducer's threshold, or search shares of rows layer by layer, as the "
        "Length-Adaptive Transformer does; as it is if empty",
    )
    min_quality: float | None = setting(
        None, "share of quality to keep, 0.99 if nothing is asked", above=0, high=1
    )
    speedup: float | None = setting(
        None, "multiply-accumulates of the plain model over its own", low=1
    )
    settings: int = setting(12, "settings of the threshold to run at most", low=2)
    rounds: int = setting(30, "of the search; 30 to 100 are published", low=0)
    children: int = setting(30, "settings a round that are mutated, and that are averages", low=1)
    ratio: float = setting(
        0.8,
        "smallest share of rows from layer to layer that the search begins with",
        above=0,
        below=1,
    )

    def __post_init__(self) -> None:
        if self.by not in (None, *WAYS):
            raise unknown_name("value of calibrate.reducer.by", self.by, WAYS)
        check_limits(self, "calibrate.reducer.")
        if self.by is None and (self.min_quality is not None or self.speedup is not None):
            name = "speedup" if self.min_quality is None else "min_quality"
            raise UserError(
                f"calibrate.reducer.{name} is for a reducer that is chosen: say how with "
                "calibrate.reducer.by=threshold or search (--tune-reducer)."
            )

    @property
    def kept(self) -> float | None:
        """The share of quality to keep; None where a budget alone is given."""
        if self.min_quality is None and self.speedup is None:
            return 0.99
        return self.min_quality
