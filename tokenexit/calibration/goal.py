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
from tokenexit.promises import PROMISES, Promise, Seen
from tokenexit.results import kept
from tokenexit.tasks import labelled_task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Goal:
    """A target, measured against full depth.

    Attributes:
        promise: What decides.
        value: What it asks for, such as the share, the factor or the milliseconds a text.
        minimise: ``macs``, ``layers`` or ``time``, of choices that keep it.
        full: Quality of full depth.
        lower: Whether lower quality is better.
        beside: What has to be kept as well; only real runs tell.
    """

    promise: Promise
    value: float
    minimise: str
    full: float
    lower: bool = False
    beside: tuple[tuple[Promise, float], ...] = ()

    @classmethod
    def of(cls, config: CalibrateConfig, full: Result, usual: str) -> Goal:
        """Read what was asked for; ``usual`` is minimised unless it says."""
        kind, value = config.target
        minimise = "time" if config.by_clock else config.minimise or usual
        also = {name: asked for name, asked in config.promises.items() if name != kind}
        beside = tuple((PROMISES.get(name)(), asked) for name, asked in also.items())
        promise = PROMISES.get(kind)()
        return cls(promise, value, minimise, full.quality, full.lower_is_better, beside)

    @property
    def kind(self) -> str:
        """Name of the promise that decides."""
        return self.promise.name

    def share(self, quality: float) -> float:
        """The share of full depth's quality that is kept."""
        return kept(quality, self.full, self.lower)

    def foretells(self, seen: Seen) -> bool:
        """Whether a simulated setting is as asked, as far as a simulation tells."""
        return self.promise.keeps(self.value, seen) is not False

    def keeps(self, seen: Seen) -> bool:
        """Whether a setting that was run is as asked.

        Raises:
            UserError: Something that was asked for has no figure here.
        """
        kept = True
        for promise, asked in ((self.promise, self.value), *self.beside):
            found = promise.keeps(asked, seen)
            if found is None:
                raise UserError(
                    f"calibrate.promises.{promise.name} cannot be kept: runs of this model have no "
                    f"such figure. They have: {', '.join(seen.figures) or 'none'}."
                )
            kept &= found
        return kept

    def worth(self, quality: float, speedup: float, macs: float | None, ms: float | None) -> float:
        """How good a setting is that is as asked: more is better.

        Args:
            quality: Its quality.
            speedup: Layers saved.
            macs: Multiply-accumulates; None in a simulation, where layers stand for them.
            ms: Milliseconds a text, where that is asked.
        """
        if not self.strict_first:
            return -quality if self.lower else quality
        if self.minimise == "time":
            return float("-inf") if ms is None else -ms
        return speedup if self.minimise == "layers" or macs is None else -macs

    @property
    def strict_first(self) -> bool:
        """Whether strict settings keep the target and loose ones break it, not the reverse."""
        return self.promise.strict_first


def check_family(policy: Policy) -> None:
    """Refuse a policy that cannot be calibrated.

    Raises:
        UserError: It has no threshold, or looks at gold labels.
    """
    if policy.threshold_spec() is None:
        raise UserError(f"{policy!r} has no threshold to calibrate; use it as it is.")
    if any(part.needs_target for part in walk(policy)):
        raise UserError(f"{policy!r} looks at gold labels; it serves analysis only.")


def check_promises(config: CalibrateConfig) -> None:
    """Refuse promises that nobody knows, once plug-ins have told theirs.

    Raises:
        UserError: An unknown name (the nearest is given), or a number that cannot be promised.
    """
    for name, asked in config.promises.items():
        PROMISES.get(name)().check(asked)


def check_goals(config: CalibrateConfig, task: str, metric: str | None = None) -> None:
    """Refuse promises that have no meaning for a task.

    Raises:
        UserError: ``risk`` for a regression; ``confidence`` of a target (see
            ``CalibrateConfig.loose``) for one, or for a metric other than the task's usual one.
    """
    of = labelled_task(task)
    resampled = config.confidence is not None and not config.promises_quality
    if resampled and metric not in (None, of.metric):
        raise UserError(
            f"calibrate.confidence resamples {of.metric}, the usual metric of {task}, and "
            f"not {metric!r}; leave one of the two out."
        )
    if not of.countable and (config.risk is not None or resampled):
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
    return {kind: value, **also, **config.promises}
