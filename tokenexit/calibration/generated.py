"""Calibrating generators: real runs only, because one other word changes all that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.counted import counted_texts
from tokenexit.calibration.risk import Losses, Of
from tokenexit.calibration.text_families import default_text_families, timed_text_families
from tokenexit.calibration.workload import Run, Workload
from tokenexit.data.pairs import PairSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.evaluation.text_metrics import check_parts, relative_bound
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.guarantees.losses import Columns
from tokenexit.metrics import build_metric
from tokenexit.metrics.base import Metric
from tokenexit.models.generation.generate import check_generator_policy
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.tasks.generation import Generation


class Generating(Workload):
    """Texts are written.

    A text is lost when any token of it is another than at full depth. CALM (Schuster et al. 2022)
    promises a bound on a distance between texts instead, such as the loss of ROUGE, which allows
    more.
    """

    simulated: ClassVar[bool] = False
    model: ExitModelForSeq2SeqLM
    split: PairSplit

    @property
    def inputs(self) -> Sequence[str]:
        """Sources."""
        return self.split.sources

    @property
    def labelled(self) -> bool:
        """Whether there are references."""
        return bool(self.split.targets or self.split.references)

    @property
    def usual(self) -> str:
        """A vocabulary costs more than a layer does."""
        return "macs"

    def families(self, by_clock: bool) -> list[Policy]:
        """More of them by the clock."""
        usual = timed_text_families if by_clock else default_text_families
        return usual(self.model)

    def check(self, config: CalibrateConfig, families: Sequence[Policy], on_unknown: str) -> None:
        """See ``Workload``."""
        for policy in families:
            check_generator_policy(policy)
        if config.confidence is not None and not config.promises_quality:
            check_parts(self._metric)
        if config.promise is not None and config.promise.of != "text":
            raise UserError(
                "calibrate.risk_of=words has no meaning for text generators, since one other word "
                "moves all that follow; use calibrate.risk_of=text."
            )

    def trace(self, policy: Policy) -> TextTrace:
        """See ``Workload``."""
        return trace_texts(self.model, self.split, policy, batch_size=self.batch_size)

    def evaluate(self, policy: Policy, full: Run | None = None) -> Run:
        """See ``Workload``."""
        deep, size = None if full is None else full[1], self.batch_size
        return evaluate_texts(self.model, self.split, self.name, policy, full=deep, batch_size=size)

    def exits(self, trace: TextTrace) -> list[list[int]]:
        """Of each token of each text."""
        return [output.exit_layers for output in trace.outputs]

    def sure_share(self, trace: TextTrace, full: Run, confidence: float) -> float:
        """See ``Workload``."""
        references = self.split.references or [[target] for target in self.split.targets or ()]
        return relative_bound(self._metric, trace.texts, full[1].texts, references, confidence)

    def losses(self, trace: TextTrace, full: TextTrace, of: Of) -> Losses:
        """See ``Workload``."""
        pairs = zip(trace.outputs, full.outputs, strict=True)
        return np.array([a.token_ids != b.token_ids for a, b in pairs], dtype=np.float64)

    def counted(self, trace: TextTrace, full: TextTrace) -> Columns:
        """See ``Workload``."""
        return counted_texts(self.split, trace, full)

    def answered(self) -> Self:
        """See ``Workload``."""
        return self.on(replace(self.split, targets=self.trace(Never()).texts))

    @property
    def _metric(self) -> Metric:
        return build_metric(self.model.settings.metric or Generation.metric, "texts")
