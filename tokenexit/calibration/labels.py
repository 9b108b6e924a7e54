"""Calibrating models that label: taggers, text classifiers, regressions, cascades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.counted import counted_labels
from tokenexit.calibration.goal import check_goals
from tokenexit.calibration.risk import Losses, Of, text_losses
from tokenexit.calibration.workload import Run, Workload
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.bootstrap import relative_quality_bound
from tokenexit.evaluation.evaluate import check_answers, evaluate, trace_split
from tokenexit.guarantees.losses import Columns
from tokenexit.halting import Trace
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.results import kept
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers


class Labelling(Workload):
    """Words or texts get answers."""

    simulated: ClassVar[bool] = True
    model: Labeller
    split: TaggedSplit

    @property
    def inputs(self) -> Sequence[Any]:
        """Words of each text."""
        return self.split.tokens

    @property
    def labelled(self) -> bool:
        """See ``Workload``."""
        return self.split.tags is not None

    @property
    def usual(self) -> str:
        """Layers, unless they cost differently."""
        return "layers" if self.model.uniform_depth else "macs"

    def families(self, by_clock: bool) -> list[Policy]:
        """Those of the task."""
        gated = getattr(self.model, "context", None) is not None
        return labelled_task(self.model.settings.task).families(self.model.labels, gated)

    def check(self, config: CalibrateConfig, families: Sequence[Policy], on_unknown: str) -> None:
        """See ``Workload``."""
        settings = self.model.settings
        check_goals(config, settings.task, settings.metric)
        labelled_task(settings.task).check_metric(settings.metric)
        if self.labelled or not config.unlabelled:
            check_answers(self.model, self.split, on_unknown)

    def check_texts(self) -> None:
        """See ``Workload``."""
        if self.split.num_words == 0:
            raise UserError(f"{self.split.origin} holds no word; there is nothing to calibrate on.")

    def trace(self, policy: Policy) -> Trace:
        """See ``Workload``."""
        return trace_split(self.model, self.split, policy, batch_size=self.batch_size)

    def evaluate(self, policy: Policy, full: Run | None = None) -> Run:
        """See ``Workload``."""
        known = {} if full is None else {"full_depth": full[0].quality, "full": full[1]}
        options: dict[str, Any] = {"batch_size": self.batch_size, "on_unknown": None, **known}
        return evaluate(self.model, self.split, self.name, policy, **options)

    def exits(self, trace: Trace) -> Any:
        """Of each word."""
        return trace.exit_layer

    def sure_share(self, trace: Trace, full: Run, confidence: float) -> float:
        """See ``Workload``."""
        deep, task = full[0], self.model.settings.task
        bound = relative_quality_bound(trace, full[1], self.model.labels, task, confidence)
        return kept(bound * deep.quality, deep.quality, deep.lower_is_better)

    def losses(self, trace: Trace, full: Trace, of: Of) -> Losses:
        """A text is lost where any label, or by so many of its labels as are others."""
        differs = trace.prediction != full.prediction
        return text_losses(differs, full.text, len(self.split), of)

    def counted(self, trace: Trace, full: Trace) -> Columns:
        """See ``Workload``."""
        return counted_labels(self.model, self.split, trace, full)

    def answered(self) -> Self:
        """See ``Workload``."""
        deep = self.trace(Never())
        tags: list[list[str]] = [[] for _ in range(len(self.split))]
        for text, number in zip(deep.text, deep.prediction, strict=True):
            tags[text].append(self.model.labels[number])
        return self.on(replace(self.split, tags=tags))

    def table(self, gold: bool = False) -> ExitTable:
        """See ``Workload``."""
        known = class_numbers(self.split, self.model.labels) if gold else None
        return self.model.exit_table(self.split.tokens, known, self.batch_size)
