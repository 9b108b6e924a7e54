"""What calibration is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tokenexit.errors import UserError


@dataclass(frozen=True)
class CalibrateConfig:
    """The promise the policy has to keep, on the validation split.

    With both targets given, ``min_quality`` decides and ``speedup`` is only reported.
    """

    min_quality: float | None = field(
        default=None, metadata={"help": "share of full-depth quality to keep (0.99 by default)"}
    )
    speedup: float | None = field(
        default=None, metadata={"help": "layers to save instead: depth over mean exit layer"}
    )
    confidence: float | None = field(
        default=None,
        metadata={"help": "keep min_quality in this share of bootstrap resamples, such as 0.9"},
    )
    limit: int | None = field(
        default=None, metadata={"help": "texts to calibrate on, drawn at random; all by default"}
    )
    policies: list[dict[str, Any]] = field(
        default_factory=list,
        metadata={"help": "families to search; a default few when empty"},
    )
    verify: int = field(default=3, metadata={"help": "families to verify by real runs"})
    grid: int = field(default=32, metadata={"help": "settings of a knob to simulate"})

    def __post_init__(self) -> None:
        if self.min_quality is not None and not 0 < self.min_quality <= 1:
            raise UserError(
                f"calibrate.min_quality must be above 0 and at most 1, not {self.min_quality!r}."
            )
        if self.speedup is not None and not (self.speedup >= 1 and math.isfinite(self.speedup)):
            raise UserError(f"calibrate.speedup must be 1 or more, not {self.speedup!r}.")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise UserError(
                f"calibrate.confidence must be between 0 and 1, not {self.confidence!r}."
            )
        if self.limit is not None and self.limit < 1:
            raise UserError(f"calibrate.limit must be 1 or more, not {self.limit!r}.")
        if self.verify < 1 or self.grid < 2:
            raise UserError("calibrate.verify must be 1 or more, and calibrate.grid 2 or more.")

    @property
    def target(self) -> tuple[str, float]:
        """``("min_quality", q)`` or ``("speedup", s)``."""
        if self.min_quality is None and self.speedup is not None:
            return "speedup", self.speedup
        return "min_quality", 0.99 if self.min_quality is None else self.min_quality
