"""Text generators."""

from __future__ import annotations

from typing import Any

from tokenexit.context import ContextGate
from tokenexit.data.pairs import read_pairs
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.results import Result
from tokenexit.tasks import generation_task
from tokenexit.training.fit_gate_texts import fit_gate_texts
from tokenexit.workflows.commands.base import Commands


class Generator(Commands):
    """Texts are written."""

    loader = ExitModelForSeq2SeqLM
    kind = "text generators"
    columns = ("lang", "source_column", "target_column")
    predicting = timing = ("pending", "batching", "max_wait")
    measuring = ("pending", "also")

    def _read(self, data: str, name: str | None, labels: bool, **told: Any) -> dict[str, Any]:
        return dict(read_pairs(data, name=name, sources_only=not labels, **told))

    def texts(self, split: Any) -> list[str]:
        """See ``Commands``."""
        return split.sources

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        """With every metric of the task, and the oracle unless told otherwise."""
        settings = self.model.settings
        further = generation_task(settings.task).further()
        told = {name: value for name, value in options.items() if name != "on_unknown"}
        if told.get("oracle") is None:
            told["oracle"] = True
        told["also"] = [metric for metric in further if metric != settings.metric]
        return super().evaluate(split, name, policy, **told)

    def fit_gate(self, split: Any, **settings: Any) -> ContextGate:
        """See ``Commands``."""
        return fit_gate_texts(self.model, split.sources, **settings)
