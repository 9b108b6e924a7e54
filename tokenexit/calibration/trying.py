"""What every search does: run settings, remember what came of them, and choose in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tokenexit.calibration.by_clock import Trial, check_reachable, choose, full_falls_short
from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration, Candidate, measured_of, verified
from tokenexit.calibration.goal import Goal, fastest, target_of
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.never import Never


class Search(ABC):
    """Settings that are run on one split, in the precision of the model.

    What they are held to is full depth in float32.

    Args:
        model: The model.
        config: What was asked.
        name: Of the split.
        clock: Foretells and takes times; None where nobody asks.
        usual: What is minimised where the user does not say.
    """

    def __init__(
        self, model: Any, config: CalibrateConfig, name: str, clock: Clock | None, usual: str
    ) -> None:
        self.model, self.config, self.name, self.clock = model, config, name, clock
        with in_full_precision(model):
            self.full, self.deep = self.evaluated(Never())
        self.goal = Goal.of(config, self.full, usual)
        self.ratio = 1.0
        self.trials: list[Trial] = []
        self.never = self._full_depth()

    full: Result | None = None
    """Figures of full depth in float32."""
    deep: Any = None
    """Its trace."""

    @abstractmethod
    def evaluated(self, policy: Policy) -> tuple[Result, Any]:
        """Run a policy, and measure it against full depth where that is known."""

    @abstractmethod
    def exits(self, trace: Any) -> Any:
        """Where the rows of a run left, as the clock wants it."""

    @abstractmethod
    def sure_share(self, trace: Any, confidence: float) -> float:
        """Share of full-depth quality that a run keeps in so many resamples."""

    def run(self, policy: Policy) -> Trial:
        """Run a setting, and keep what came of it."""
        result, trace = self.evaluated(policy)
        share, confidence = result.relative_quality, self.config.confidence
        if confidence is not None:
            share = self.sure_share(trace, confidence)
        ms = self._foretold(policy, trace)
        trial = Trial(result, ms, self.goal.keeps(share, result.depth_speedup, ms))
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
        first = self.run(AssignedDepth(self.model.settings.exit_layers[0]))
        self.ratio = check_reachable(self.clock, self.goal.value, first)
        self.goal = replace(self.goal, value=self.goal.value / self.ratio)

    def concluded(self, count: int, simulated: Sequence[Candidate] = ()) -> Calibration:
        """Choose among all that was run.

        Args:
            count: Texts of the whole split.
            simulated: Settings that were not run.
        """
        candidates = [verified(t.result, t.foretold) for t in [self.never, *self.trials]]
        timing = None
        if self.clock is None:
            best, reached = self._saving_most()
        else:
            chosen = choose(self.clock, self.config, self.never, self.trials, self.ratio)
            best, reached, timing = chosen.result, chosen.reached, chosen.timing
            candidates = chosen.timed(candidates)
        assert self.full is not None
        return Calibration(
            measured=measured_of(best, count),
            target=target_of(self.config),
            split=self.name,
            policy=dict(best.policy),
            reached=reached,
            quality_full_depth=self.full.quality,
            chosen=best.to_json(),
            candidates=[*candidates, *simulated],
            precision=self.model.precision,
            minimise="time" if self.config.by_clock else self.config.minimise,
            full_depth_kept=self.never.result.relative_quality,
            timing=timing,
            cost_model=None if self.clock is None else self.clock.costs.to_json(),
        )

    def _saving_most(self) -> tuple[Result, bool]:
        """The best of what is as asked, without a clock, and whether anything is."""
        good = [trial for trial in self.trials if trial.keeps]
        if self.goal.kind == "min_quality" and self.never.keeps:
            good = [self.never, *good]
        if good:
            return max(good, key=self.worth_of).result, True
        if self.goal.kind == "speedup":
            return fastest([trial.result for trial in self.trials], self.goal.value), False
        return self.never.result, False

    def _full_depth(self) -> Trial:
        """Full depth in the precision that will run."""
        result, trace = self.full, self.deep
        if is_reduced(self.model):
            result, trace = self.evaluated(Never())
        assert result is not None
        short = self.goal.kind == "min_quality" and full_falls_short(
            result, self.model.precision, self.goal.value
        )
        return Trial(result, self._foretold(Never(), trace), not short)

    def _foretold(self, policy: Policy, trace: Any) -> float | None:
        return None if self.clock is None else self.clock.ms(policy, self.exits(trace))
