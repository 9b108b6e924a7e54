"""What a calibration aims at: what has to be kept, and what is best of what keeps it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.processes import is_main
from tokenexit.policies import Policy
from tokenexit.policies.base import walk
from tokenexit.results import kept
from tokenexit.tasks import labelled_task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Goal:
    """A target, measured against full depth.

    Attributes:
        kind: ``min_quality``, ``speedup`` or ``latency``.
        value: The share, the factor or the milliseconds a text.
        minimise: ``macs``, ``layers`` or ``time``, of choices that keep ``min_quality``.
        full: Quality of full depth.
        lower: Whether lower quality is better.
    """

    kind: str
    value: float
    minimise: str
    full: float
    lower: bool = False

    @classmethod
    def of(cls, config: CalibrateConfig, full: Result, usual: str) -> Goal:
        """Read what was asked for; ``usual`` is minimised unless it says."""
        kind, value = config.target
        minimise = "time" if config.by_clock else config.minimise or usual
        return cls(kind, value, minimise, full.quality, full.lower_is_better)

    def share(self, quality: float) -> float:
        """The share of full depth's quality that is kept."""
        return kept(quality, self.full, self.lower)

    def keeps(self, share: float, speedup: float, ms: float | None) -> bool:
        """Whether a setting is as asked.

        Args:
            share: Of full depth's quality.
            speedup: Layers saved.
            ms: Milliseconds a text, where that is asked.
        """
        if self.kind == "speedup":
            return speedup >= self.value
        if self.kind == "latency":
            return ms is not None and ms <= self.value
        return share >= self.value

    def worth(self, quality: float, speedup: float, macs: float | None, ms: float | None) -> float:
        """How good a setting is that is as asked: more is better.

        Args:
            quality: Its quality.
            speedup: Layers saved.
            macs: Multiply-accumulates; None in a simulation, where layers stand for them.
            ms: Milliseconds a text, where that is asked.
        """
        if self.kind != "min_quality":
            return -quality if self.lower else quality
        if self.minimise == "time":
            return float("-inf") if ms is None else -ms
        return speedup if self.minimise == "layers" or macs is None else -macs

    @property
    def strict_first(self) -> bool:
        """Whether strict settings keep the target and loose ones break it, not the reverse."""
        return self.kind == "min_quality"


def check_family(policy: Policy) -> None:
    """Refuse a policy that cannot be calibrated.

    Raises:
        UserError: It has no knob, or looks at gold labels.
    """
    if policy.dial() is None:
        raise UserError(f"{policy!r} has no knob to calibrate; use it as it is.")
    if any(part.needs_target for part in walk(policy)):
        raise UserError(f"{policy!r} looks at gold labels; it serves analysis only.")


def check_goals(config: CalibrateConfig, task: str, metric: str | None = None) -> None:
    """Refuse promises that have no meaning for a task.

    Raises:
        UserError: ``risk`` or ``confidence`` for a regression, or ``confidence`` for a metric
            other than the task's usual one.
    """
    of = labelled_task(task)
    if config.confidence is not None and metric not in (None, of.metric):
        raise UserError(
            f"calibrate.confidence resamples {of.metric}, the usual metric of {task}, and "
            f"not {metric!r}; leave one of the two out."
        )
    if not of.countable and (config.risk is not None or config.confidence is not None):
        raise UserError(
            "calibrate.risk and calibrate.confidence count answers that are wrong or differ, and "
            "numbers are near or far; use calibrate.min_quality or calibrate.speedup."
        )


def fastest(measured: Sequence[Result], goal: float) -> Result:
    """The result that saves most, with a warning that it is not what was asked for."""
    best = max(measured, key=lambda r: r.depth_speedup)
    if is_main():
        logger.warning(
            "No setting saves %gx of the layers; took the fastest, %.2fx.", goal, best.depth_speedup
        )
    return best


def target_of(config: CalibrateConfig) -> dict[str, Any]:
    """The target as plain data."""
    kind, value = config.target
    also = {n: getattr(config, n) for n in ("latency", "confidence") if getattr(config, n)}
    return {kind: value, **also}
