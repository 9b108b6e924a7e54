"""What every search does: run settings, remember what came of them, and choose in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tokenexit.calibration.by_clock import Trial, check_reachable, choose, warn_of_full_depth
from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration, Candidate, measured_of, verified
from tokenexit.calibration.goal import Goal, fastest, target_of
from tokenexit.calibration.loose import could_be_promised
from tokenexit.calibration.workload import Workload
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.policies import Policy, from_config
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.never import Never
from tokenexit.promises import Seen


class Search:
    """Settings that are run on one split, in the precision of the model.

    What they are held to is full depth in float32.

    Args:
        work: The model and the texts.
        config: What was asked.
        clock: Foretells and takes times; None where nobody asks.
    """

    def __init__(self, work: Workload, config: CalibrateConfig, clock: Clock | None) -> None:
        self.work, self.config, self.clock = work, config, clock
        with in_full_precision(work.model):
            self.full = work.evaluate(Never())
        self.goal = Goal.of(config, self.full[0], work.usual)
        self.ratio = 1.0
        self.trials: list[Trial] = []
        self.never = self._full_depth()

    def run(self, policy: Policy) -> Trial:
        """Run a setting, and keep what came of it."""
        result, trace = self.work.evaluate(policy, self.full)
        share, confidence = result.relative_quality, self.config.confidence
        if confidence is not None:
            share = self.work.sure_share(trace, self.full, confidence)
        ms = self._foretold(policy, trace)
        trial = Trial(result, ms, self.goal.keeps(seen_of(result, share, ms)))
        self.trials.append(trial)
        return trial

    def worth_of(self, trial: Trial) -> float:
        """How good a setting is that was run: more is better."""
        one = trial.result
        return self.goal.worth(one.quality, one.depth_speedup, one.mac_ratio, trial.foretold)

    def check_latency(self) -> None:
        """Find out whether a latency can be kept at all, and how far foretold times are off.

        Raises:
            UserError: It cannot.
        """
        if self.goal.kind != "latency" or self.clock is None:
            return
        first = self.run(AssignedDepth(self.work.model.settings.exit_layers[0]))
        self.ratio = check_reachable(self.clock, self.goal.value, first)
        self.goal = replace(self.goal, value=self.goal.value / self.ratio)

    def concluded(self, count: int, simulated: Sequence[Candidate] = ()) -> Calibration:
        """Choose among all that was run.

        Args:
            count: Texts of the whole split.
            simulated: Settings that were not run.
        """
        candidates = [verified(t.result, t.foretold) for t in [self.never, *self.trials]]
        timing, config = None, self.config
        if self.clock is None:
            best, reached = self._saving_most()
        else:
            chosen = choose(self.clock, self.config, self.never, self.trials, self.ratio)
            best, reached, timing = chosen.result, chosen.reached, chosen.timing
            candidates = chosen.timed(candidates)
        measured = measured_of(best, count, figures=bool(config.promises))
        if self.goal.kind == "min_quality":
            policy, delta = from_config(best.policy), config.confidence and 1 - config.confidence
            could = could_be_promised(self.work, policy, self.full, delta)
            measured |= {} if could is None else {"could_be_promised": could}
        return Calibration(
            measured=measured,
            target=target_of(config),
            split=self.work.name,
            policy=dict(best.policy),
            reached=reached,
            quality_full_depth=self.full[0].quality,
            chosen=best.to_json(),
            candidates=[*candidates, *simulated],
            precision=self.work.model.precision,
            minimise="time" if config.by_clock else config.minimise,
            full_depth_kept=self.never.result.relative_quality,
            timing=timing,
            cost_model=None if self.clock is None else self.clock.costs.to_json(),
        )

    def _saving_most(self) -> tuple[Result, bool]:
        """The best of what is as asked, without a clock, and whether anything is."""
        good = [trial for trial in self.trials if trial.keeps]
        if self.goal.strict_first and self.never.keeps:
            good = [self.never, *good]
        if good:
            return max(good, key=self.worth_of).result, True
        if self.goal.kind == "speedup":
            return fastest([trial.result for trial in self.trials], self.goal.value), False
        return self.never.result, False

    def _full_depth(self) -> Trial:
        """Full depth in the precision that will run."""
        model, (result, trace) = self.work.model, self.full
        if is_reduced(model):
            result, trace = self.work.evaluate(Never(), self.full)
        ms, goal = self._foretold(Never(), trace), self.goal
        seen = seen_of(result, result.relative_quality, ms)
        keeps = goal.keeps(seen) if goal.strict_first else True
        if goal.kind == "min_quality":
            warn_of_full_depth(result, model.precision, goal.value)
        return Trial(result, ms, keeps)

    def _foretold(self, policy: Policy, trace: Any) -> float | None:
        return None if self.clock is None else self.clock.ms(policy, self.work.exits(trace))


def seen_of(result: Result, share: float, ms: float | None = None) -> Seen:
    """What is compared with what was asked.

    Args:
        result: Of a run.
        share: Of full-depth quality that it keeps.
        ms: Milliseconds a text.
    """
    seen = Seen.of(result.to_json())
    return replace(seen, kept=share, ms=ms)
