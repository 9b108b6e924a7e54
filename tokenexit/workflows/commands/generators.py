"""Text generators."""

from __future__ import annotations

from typing import Any

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.found import Calibration
from tokenexit.calibration.texts import calibrate_texts
from tokenexit.context import ContextGate
from tokenexit.data.pairs import read_pairs
from tokenexit.evaluation.bench import BenchResult, bench_texts
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.tasks import generation_task
from tokenexit.training.fit_gate_texts import fit_gate_texts
from tokenexit.workflows.commands.base import Commands, check_only


class Generator(Commands):
    """Texts are written."""

    loader = ExitModelForSeq2SeqLM
    kind = "text generators"
    predicting = ("pending", "batching", "max_wait")

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """See ``Commands``."""
        known = ("lang", "source_column", "target_column", "data_name")
        check_only(options, known, "text generators")
        return read_pairs(
            data,
            lang=options.get("lang"),
            source_column=options.get("source_column"),
            target_column=options.get("target_column"),
            name=options.get("data_name"),
            sources_only=not labels,
        )

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        """See ``Commands``."""
        given = {k: v for k, v in options.items() if v is not None}
        given.pop("on_unknown", None)
        check_only(given, ("batch_size", "pending", "oracle"), "text generators")
        given.setdefault("oracle", True)
        settings = self.model.settings
        also = [
            name for name in generation_task(settings.task).further() if name != settings.metric
        ]
        return evaluate_texts(self.model, split, name, policy, also=also, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Any, size: int, **more: Any
    ) -> Calibration:
        """See ``Commands``."""
        families = None if family is None else [family]
        told = {"families": families, "batch_size": size, **more}
        return calibrate_texts(self.model, split, config, name=name, **told)

    def fit_gate(self, split: Any, **settings: Any) -> ContextGate:
        """See ``Commands``."""
        return fit_gate_texts(self.model, split.sources, **settings)

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        """See ``Commands``."""
        given = {k: v for k, v in options.items() if v is not None}
        known = ("batch_size", "repeats", "pending", "against", "batching", "max_wait")
        check_only(given, known, "text generators")
        chosen = chosen_policy(self.model, policy)
        return bench_texts(self.model, split.sources[:limit], chosen, **given)
