"""Choosing a policy for a generator: real runs only, because one other word changes the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.clock.cost_model import CostModel
from tokenexit.calibration.clock.generators import TimedGenerator
from tokenexit.calibration.clock.open import clock_of
from tokenexit.calibration.clock.stopwatch import Stopwatch, stopwatch
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration
from tokenexit.calibration.goal import check_family
from tokenexit.calibration.guarantee_texts import certify_texts
from tokenexit.calibration.promised import promised
from tokenexit.calibration.sampling import drawn, sample, warn_of_few
from tokenexit.calibration.text_families import default_text_families, timed_text_families
from tokenexit.calibration.trying import Search
from tokenexit.data.pairs import PairSplit
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.evaluation.text_metrics import check_parts, relative_bound
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.metrics import build_metric
from tokenexit.models.generation.generate import check_policy
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.tasks.generation import Generation

RUNS = 6
"""Settings of a family that are run: its dial is halved so often."""
FEWER = 4
"""By the clock, families are compared first on a part of the texts: one in so many of them."""
LEAST = 50
"""Texts of that part, if there are as many."""


def calibrate_texts(
    model: ExitModelForSeq2SeqLM,
    split: PairSplit,
    config: CalibrateConfig,
    *,
    name: str = "validation",
    families: Sequence[Policy] | None = None,
    batch_size: int = 32,
    design: PairSplit | None = None,
    costs: CostModel | None = None,
    watch: Stopwatch = stopwatch,
) -> Calibration:
    """Choose a policy for a generator, in the precision it is in. The model is not changed.

    Each family's dial is searched by bisection, from strict to loose, with real runs on the
    whole split, or on ``config.limit`` texts of it.

    Args:
        model: The generator.
        split: Sources with references that the model was not trained on; ``risk`` alone needs no
            references.
        config: The promise; quality is the model's metric, BLEU unless it has another.
        name: Name of the split.
        families: Policies whose knobs are turned; ``default_text_families`` when None, and by the
            clock ``timed_text_families``.
        batch_size: Texts a batch; by the clock, those that will run.
        design: For ``risk``: further texts that choose the family, see ``certify``.
        costs: By the clock: what operations cost, if it was measured before.
        watch: By the clock: measures.

    Raises:
        UserError: A family has no knob, looks at gold labels or has no meaning for tokens that
            are generated; a ``latency`` that is out of reach.
    """
    usual = timed_text_families if config.by_clock else default_text_families
    policies = list(families or usual(model))
    for policy in policies:
        check_family(policy)
        check_policy(policy)
    if config.confidence is not None:
        check_parts(build_metric(model.settings.metric or Generation.metric, "texts"))
    count = len(split) + (0 if design is None else len(design))
    part, design = drawn(split, design, config.limit)
    warn_of_few(config, len(part))
    clock = None
    if config.by_clock:
        clock = clock_of(model, part.sources, policies, batch_size, known=costs, watch=watch)
    if config.promise is not None:
        found = certify_texts(
            model,
            part,
            policies,
            config.promise,
            min_quality=config.min_quality,
            settings=config.grid,
            name=name,
            batch_size=batch_size,
            design=design,
        )

        def exits(policy: Policy) -> Any:
            return exits_of(trace_texts(model, part, policy, batch_size=batch_size))

        return promised(found, config, name, count, model, clock, exits)
    return _Search(model, part, config, name, batch_size, clock).best_of(policies, count)


def exits_of(trace: TextTrace) -> list[list[int]]:
    """Exit layer of each token of each text."""
    return [output.exit_layers for output in trace.outputs]


class _Search(Search):
    """A search for a generator: real runs alone."""

    def __init__(
        self,
        model: ExitModelForSeq2SeqLM,
        split: PairSplit,
        config: CalibrateConfig,
        name: str,
        batch_size: int,
        clock: Clock | None,
    ) -> None:
        self.split, self.batch_size = split, batch_size
        super().__init__(model, config, name, clock, "macs")

    def best_of(self, families: Sequence[Policy], count: int) -> Calibration:
        """Search families, and choose; ``count`` texts are in the split."""
        self.check_latency()
        if self.clock is not None and len(families) > self.config.verify:
            families = self._promising(families)
        for family in families:
            self.bisect(family)
        if self.clock is not None:
            self._fixed_layers()
        return self.concluded(count)

    def evaluated(self, policy: Policy) -> tuple[Result, TextTrace]:
        """See ``Search``."""
        return evaluate_texts(
            self.model, self.split, self.name, policy, full=self.deep, batch_size=self.batch_size
        )

    def exits(self, trace: TextTrace) -> list[list[int]]:
        """Of each token of each text."""
        return exits_of(trace)

    def sure_share(self, trace: TextTrace, confidence: float) -> float:
        """See ``Search``."""
        metric = build_metric(self.model.settings.metric or Generation.metric, "texts")
        references = self.split.references or [[target] for target in self.split.targets or ()]
        return relative_bound(metric, trace.texts, self.deep.texts, references, confidence)

    def bisect(self, family: Policy, runs: int = RUNS) -> None:
        """Halve a family's dial: looser while the target holds, stricter while it does not."""
        knob = family.dial()
        assert knob is not None
        # Probabilities, too, evenly: margins at which generators may leave are far from one.
        knob = replace(knob, near_one=False)
        strict, loose = 0.0, 1.0
        for _ in range(runs):
            middle = (strict + loose) / 2
            # Looser while the quality holds; stricter while the speed does.
            if self.run(family.at(knob.value(middle))).keeps == self.goal.strict_first:
                strict = middle
            else:
                loose = middle

    def _promising(self, families: Sequence[Policy]) -> list[Policy]:
        """The best families on a part of the texts, since there are many by the clock."""
        assert self.clock is not None
        texts = sample(self.split, max(len(self.split) // FEWER, min(len(self.split), LEAST)))
        timed = TimedGenerator(self.model, texts.sources, self.batch_size)
        small = _Search(
            self.model, texts, self.config, self.name, self.batch_size,
            replace(self.clock, timed=timed),
        )  # fmt: skip
        small.goal = replace(self.goal, full=small.goal.full)
        worth: dict[int, float] = {}
        for number, family in enumerate(families):
            small.trials.clear()
            small.bisect(family)
            good = [trial for trial in small.trials if trial.keeps]
            worth[number] = max((small.worth_of(t) for t in good), default=float("-inf"))
        best = sorted(worth, key=lambda number: -worth[number])[: self.config.verify]
        return [families[number] for number in best]

    def _fixed_layers(self) -> None:
        """Halve the exits: everybody leaves at one, the shallowest (or deepest) as asked."""
        layers = self.model.settings.exit_layers[:-1]
        low, high = 0, len(layers)  # those that keep quality lie high, those that save time low
        while low < high:
            middle = (low + high) // 2
            if self.run(AssignedDepth(layers[middle])).keeps == self.goal.strict_first:
                high = middle
            else:
                low = middle + 1
