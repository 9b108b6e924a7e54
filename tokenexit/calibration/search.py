"""Find the setting that keeps the user's promise with the least compute.

One full-depth pass stores what every exit says of every validation word, and all settings of
all families are simulated on that table. Simulation ignores that states change once neighbours
halt, so the most promising families are then run by the real engine, and their setting is moved
until real runs have bracketed the point where the promise breaks.

By the clock, times are foretold from what operations cost on this machine; policies asked at
fewer exits and fixed layers are tried as well, and the finalists are timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenexit.calibration.clock.choices import asked_less
from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.clock.cost_model import CostModel
from tokenexit.calibration.clock.open import clock_of
from tokenexit.calibration.clock.stopwatch import Stopwatch, stopwatch
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration, Candidate
from tokenexit.calibration.goal import check_family, check_goals
from tokenexit.calibration.guarantee import certify
from tokenexit.calibration.promised import promised
from tokenexit.calibration.sampling import drawn, warn_of_few
from tokenexit.calibration.simulate import Outcome, simulate
from tokenexit.calibration.trying import Search
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.bootstrap import relative_quality_bound
from tokenexit.evaluation.evaluate import Result, check_answers, evaluate, trace_split
from tokenexit.halting import Trace
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers

RUNS = 6
"""Real runs per family that is verified."""


def calibrate(
    model: Labeller,
    split: TaggedSplit,
    config: CalibrateConfig,
    *,
    name: str = "validation",
    families: Sequence[Policy] | None = None,
    batch_size: int = 32,
    on_unknown: str = "error",
    design: TaggedSplit | None = None,
    costs: CostModel | None = None,
    watch: Stopwatch = stopwatch,
) -> Calibration:
    """Choose a policy for a model, in the precision it is in. The model is not changed.

    Args:
        model: The tagger.
        split: Labelled texts that the model was not trained on; ``risk`` alone needs no labels.
        config: The promise.
        name: Name of the split.
        families: Policies whose knobs are turned; ``LabelledTask.families`` when None.
        batch_size: Texts a batch; by the clock, those that will run.
        on_unknown: ``error`` or ``keep`` labels outside the training set, as wrong.
        design: For ``risk``: further texts that choose the family, see ``certify``.
        costs: By the clock: what operations cost, if it was measured before.
        watch: By the clock: measures.

    Raises:
        UserError: A family has no knob or looks at gold labels, or the split has no word or
            labels that the model does not know; a ``latency`` that is out of reach.
    """
    task, metric = labelled_task(model.settings.task), model.settings.metric
    check_goals(config, task.name, metric)
    task.check_metric(metric)
    gated = getattr(model, "context", None) is not None
    policies = list(families or task.families(model.labels, gated))
    for policy in policies:
        check_family(policy)
    if split.tags is not None or config.promise is None or config.min_quality is not None:
        check_answers(model, split, on_unknown)
    count = len(split) + (0 if design is None else len(design))
    split, design = drawn(split, design, config.limit)
    warn_of_few(config, len(split))
    if split.num_words == 0:
        raise UserError(f"{split.origin} holds no word; there is nothing to calibrate on.")
    clock = None
    if config.by_clock:
        clock = clock_of(model, split.tokens, policies, batch_size, known=costs, watch=watch)
    if config.promise is not None:
        found = certify(
            model,
            split,
            policies,
            config.promise,
            min_quality=config.min_quality,
            settings=config.grid,
            name=name,
            batch_size=batch_size,
            design=design,
        )

        def exits(policy: Policy) -> Any:
            return trace_split(model, split, policy, batch_size=batch_size).exit_layer

        return promised(found, config, name, count, model, clock, exits)
    return _Search(model, split, config, name, batch_size, clock).best_of(policies, count)


@dataclass(frozen=True)
class _Entrant:
    """A family with its simulated settings, those that keep the target first."""

    family: Policy
    outcomes: Sequence[Outcome]
    place: int
    worth: float


class _Search(Search):
    """A search for a model that labels: simulated first."""

    def __init__(
        self,
        model: Labeller,
        split: TaggedSplit,
        config: CalibrateConfig,
        name: str,
        batch_size: int,
        clock: Clock | None,
    ) -> None:
        self.split = split
        self._options: dict[str, Any] = {"batch_size": batch_size, "on_unknown": None}
        super().__init__(model, config, name, clock, "layers" if model.uniform_depth else "macs")

    def best_of(self, families: Sequence[Policy], count: int) -> Calibration:
        """Search families, run the best, and choose; ``count`` texts are in the split."""
        self.check_latency()
        simulated = self._simulated(families)
        for entrant in self._promising([self._entrant(*one) for one in simulated]):
            find_last(
                entrant.outcomes,
                entrant.place,
                lambda value, family=entrant.family: self.run(family.at(value)).keeps,
            )
        return self.concluded(count, _settings(simulated))

    def evaluated(self, policy: Policy) -> tuple[Result, Trace]:
        """See ``Search``."""
        known = {} if self.full is None else {"full_depth": self.full.quality, "full": self.deep}
        return evaluate(self.model, self.split, self.name, policy, **known, **self._options)

    def exits(self, trace: Trace) -> Any:
        """Of each word."""
        return trace.exit_layer

    def sure_share(self, trace: Trace, confidence: float) -> float:
        """See ``Search``."""
        task, labels = self.model.settings.task, self.model.labels
        bound = relative_quality_bound(trace, self.deep, labels, task, confidence)
        return self.goal.share(bound * self.goal.full)

    def _simulated(self, families: Sequence[Policy]) -> list[tuple[Policy, list[Outcome]]]:
        """Settings of families; by the clock, of the best asked less often and of fixed layers."""
        settings, labels = self.model.settings, self.model.labels
        gold = class_numbers(self.split, labels)
        table = self.model.exit_table(self.split.tokens, gold, self._options["batch_size"])

        def outcomes(policies: Sequence[Policy]) -> list[tuple[Policy, list[Outcome]]]:
            told = (self.config.grid, settings.task, settings.metric, self.clock)
            return list(zip(policies, simulate(table, policies, *told), strict=True))

        found = outcomes(families)
        if self.clock is None:
            return found
        best = self._promising([self._entrant(*one) for one in found])
        less = [p for e in best for p in asked_less(e.family, settings.exit_layers)]
        return found + outcomes([*less, AssignedDepth()])

    def _entrant(self, family: Policy, found: Sequence[Outcome]) -> _Entrant:
        ordered = found if self.goal.strict_first else found[::-1]
        keeps = [
            self.goal.keeps(self.goal.share(one.quality), one.depth_speedup, one.ms)
            for one in ordered
        ]
        place = max((n for n, good in enumerate(keeps) if good), default=0)
        one = ordered[place]
        worth = self.goal.worth(one.quality, one.depth_speedup, None, one.ms)
        return _Entrant(family, ordered, place, worth if keeps[place] else float("-inf"))

    def _promising(self, entrants: Sequence[_Entrant]) -> list[_Entrant]:
        """The best families, and fixed layers where they are tried by the clock."""
        by_worth = sorted(entrants, key=lambda entrant: -entrant.worth)
        if self.clock is None:
            return by_worth[: self.config.verify]
        fixed = [e for e in by_worth if isinstance(e.family, AssignedDepth)]
        others = [e for e in by_worth if not isinstance(e.family, AssignedDepth)]
        return [*others[: self.config.verify], *fixed]


def find_last(outcomes: Sequence[Outcome], start: int, keeps: Callable[[float], bool]) -> None:
    """Real runs towards the last setting that keeps the promise: gallop, then bisect.

    Args:
        outcomes: Settings, those that keep the promise before those that break it.
        start: Where the simulation puts the last one.
        keeps: Runs one setting.
    """
    good, bad = -1, len(outcomes)
    place, stride = start, 1
    for _ in range(RUNS):
        if keeps(outcomes[place].value):
            good, following = place, place + stride
        else:
            bad, following = place, place - stride
        if bad - good <= 1:
            return
        stride *= 2
        place = following if good < following < bad else (good + bad) // 2


def _settings(found: Sequence[tuple[Policy, Sequence[Outcome]]]) -> list[Candidate]:
    return [
        Candidate(
            family.at(one.value).to_config(), one.quality, one.depth_speedup, ms_foretold=one.ms
        )
        for family, outcomes in found
        for one in outcomes
    ]
