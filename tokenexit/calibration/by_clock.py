"""Choosing by the clock among settings that were run: by time, or within a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.clock.counts import asked_at
from tokenexit.calibration.clock.finals import (
    FIXED,
    FULL,
    POLICY,
    RUNNER_UP,
    Finalist,
    Finals,
    raced,
)
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Candidate
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.processes import is_main
from tokenexit.policies import from_config
from tokenexit.policies.never import Never
from tokenexit.wording.naming import counted, milliseconds, percent

logger = logging.getLogger(__name__)

TRIES = 3
"""Races for a time that is not kept at first, each time with what the last one showed."""


@dataclass(frozen=True)
class Trial:
    """A setting that was run.

    Attributes:
        result: Its figures.
        foretold: Milliseconds a text, from what operations cost; None where nobody asks.
        keeps: Whether it is as asked, as far as that is known before it is timed.
    """

    result: Result
    foretold: float | None
    keeps: bool

    @property
    def ms(self) -> float:
        """What is foretold, by the clock."""
        assert self.foretold is not None
        return self.foretold

    @property
    def fixed(self) -> bool:
        """Whether everybody leaves at one layer."""
        return self.result.policy.get("name") == "assigned_depth"


@dataclass(frozen=True)
class Chosen:
    """The choice.

    Attributes:
        result: Its figures.
        reached: Whether it is as asked.
        timing: Times of the finalists, as plain data.
    """

    result: Result
    reached: bool
    timing: dict[str, Any]

    def timed(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates with the times that were measured."""
        ms = [(row["policy"], row["ms"]) for row in self.timing["rows"]]
        return [
            replace(c, ms=next((t for p, t in ms if p == c.policy), None)) if c.verified else c
            for c in candidates
        ]


def choose(
    clock: Clock,
    config: CalibrateConfig,
    full: Trial,
    trials: Sequence[Trial],
    ratio: float = 1.0,
) -> Chosen:
    """Time the finalists among settings that were run, and choose.

    Args:
        clock: Times.
        config: What was asked.
        full: Full depth.
        trials: Everything else that was run; for a latency, the first exit for everybody too.
        ratio: Time measured over time foretold, as far as known.

    Raises:
        UserError: Within ``calibrate.latency`` the quality cannot be kept.
    """
    if config.target[0] == "latency":
        return _best_within(clock, config.target[1], full, trials, ratio)
    return _fastest(clock, config, full, trials)


def _fastest(clock: Clock, config: CalibrateConfig, full: Trial, trials: Sequence[Trial]) -> Chosen:
    """The fastest choice that keeps the quality, by real times.

    The best policy and another, the best fixed layer and full depth are timed in turns; the more
    elaborate one is taken only where it is faster beyond the noise.

    Args:
        clock: Times.
        config: What was asked.
        full: Full depth.
        trials: Everything else that was run.

    Raises:
        UserError: Within ``calibrate.latency`` the quality cannot be kept.
    """
    good = sorted((t for t in trials if t.keeps), key=lambda t: t.ms)
    finals = raced(clock, _finalists(clock, full, good))
    chosen = finals.fastest()
    place = finals.of(FULL) if chosen is None else chosen
    assert place is not None
    timing = {**_conditions(clock), **finals.table(place)}
    result, ms = finals.finalists[place].result, finals.passes.ms(place)
    if config.latency is not None:
        if chosen is None or ms > config.latency:
            raise _quality_takes(config, finals, chosen)
        timing["binding"] = "min_quality"
    return Chosen(result, chosen is not None, timing)


def _best_within(
    clock: Clock,
    latency: float,
    full: Trial,
    trials: Sequence[Trial],
    ratio: float,
    tries: int = TRIES,
) -> Chosen:
    """The best quality within a time, by real times."""
    sign = -1 if full.result.lower_is_better else 1
    fitting = [trial for trial in trials if trial.ms * ratio <= latency]
    least = min(trials, key=lambda t: (not t.fixed, t.ms))
    good = sorted(fitting or [least], key=lambda t: (-sign * t.result.quality, t.ms))
    finals = raced(clock, _finalists(clock, full, good))
    place = finals.best_within(latency)
    if place is None and tries > 1 and fitting:
        # All took longer than foretold: by as much, others will too.
        shown = [
            finals.passes.ms(number) / one.foretold
            for number, one in enumerate(finals.finalists)
            if one.role != FULL
        ]
        return _best_within(clock, latency, full, trials, max(*shown, 1.05 * ratio), tries - 1)
    chosen = next(n for n in (place, finals.of(FIXED), 0) if n is not None)
    binding = "nothing" if finals.finalists[chosen].role == FULL else "latency"
    if place is None and is_main():
        logger.warning(
            "Nothing that was tried stayed within %s a text when it was timed.",
            milliseconds(latency),
        )
    timing = {**_conditions(clock), **finals.table(chosen), "binding": binding}
    return Chosen(finals.finalists[chosen].result, place is not None, timing)


def check_reachable(clock: Clock, latency: float, first: Trial) -> float:
    """Refuse a time that even the first exit does not keep.

    Args:
        clock: Times.
        latency: Milliseconds a text.
        first: Everybody leaves at the first exit.

    Returns:
        Time measured over time foretold.

    Raises:
        UserError: Says the least possible.
    """
    least = clock.race([from_config(first.result.policy)], first.ms).ms(0)
    if least > latency:
        where, layer = clock.costs.conditions, clock.timed.exit_layers[0]
        raise UserError(
            f"calibrate.latency={latency:g} is out of reach: with everybody leaving after layer "
            f"{layer}, the first exit, a text takes {milliseconds(least)} here "
            f"({where.get('precision')}, batches of {clock.timed.batch_size}, "
            f"{counted(where.get('threads', 1), 'thread')}). That is the least possible: allow "
            "more, or use another precision, batch size or number of threads."
        )
    return least / first.ms if first.ms > 0 else 1.0


def warn_of_full_depth(full: Result, precision: str, goal: float) -> None:
    """Say it where a precision at full depth keeps less than was asked."""
    if full.relative_quality < goal and is_main():
        logger.warning(
            "In %s full depth itself keeps %s of the float32 quality, less than the %s asked.",
            precision, percent(full.relative_quality, 2), percent(goal, 2),
        )  # fmt: skip


def _finalists(clock: Clock, full: Trial, good: Sequence[Trial]) -> list[Finalist]:
    """Full depth, the first fixed layer, and two of the others, best first.

    The second is the best that is asked elsewhere: what questions cost is what is foretold worst.
    """
    moving = [trial for trial in good if not trial.fixed and not _is_never(trial)]
    fixed = [trial for trial in good if trial.fixed]
    named = [(FULL, full), *((FIXED, t) for t in fixed[:1]), *((POLICY, t) for t in moving[:1])]
    others = [t for t in moving[1:] if t.result.policy != moving[0].result.policy]
    elsewhere = [t for t in others if _asked(clock, t) != _asked(clock, moving[0])]
    named += [(RUNNER_UP, t) for t in (elsewhere or others)[:1]]
    return [Finalist(role, t.result, t.ms, t.keeps) for role, t in named]


def _asked(clock: Clock, trial: Trial) -> tuple[int, ...]:
    return asked_at(from_config(trial.result.policy), clock.timed.exit_layers[:-1])


def _is_never(trial: Trial) -> bool:
    return trial.result.policy == Never().to_config()


def _conditions(clock: Clock) -> dict[str, Any]:
    """Where the times hold, and how costs were learned."""
    costs = clock.costs
    return {
        "batch_size": clock.timed.batch_size,
        "conditions": dict(costs.conditions),
        "cost_model": {
            "runs": costs.runs,
            "seconds": costs.spent,
            "error": costs.error,
            "ms": {
                name: {f"{cost.rows[at]:g}": 1000 * cost.seconds[at] for at in (0, -1)}
                for name, cost in costs.costs.items()
            },
        },
    }


def _quality_takes(config: CalibrateConfig, finals: Finals, chosen: int | None) -> UserError:
    goal = percent(config.target[1], 2)
    asked = f"calibrate.latency={config.latency:g}"
    if chosen is None:
        return UserError(
            f"Nothing that was tried keeps {goal} of the quality, so not within {asked} either: "
            "lower calibrate.min_quality, or leave it out to get the best quality within the time."
        )
    took = milliseconds(finals.passes.ms(chosen))
    return UserError(
        f"{asked} and calibrate.min_quality exclude each other here: the fastest choice that keeps "
        f"{goal} of the quality ({finals.finalists[chosen].role}) takes {took} a text. Allow that "
        "much time, lower calibrate.min_quality, or leave it out to get the best quality within "
        "the time."
    )
