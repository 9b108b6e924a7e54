"""Taggers, text classifiers and cascades of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.context import ContextGate
from tokenexit.data.tagged import read_tagged, with_validation
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.tasks.naming import text_task
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.training.fit_gate import fit_gate
from tokenexit.workflows.commands.base import Commands


class Tagger(Commands):
    """Words get labels."""

    model: Any

    loader = ExitModelForTokenClassification
    kind = "taggers"
    columns = ("column", "convert_tags")
    predicting = ("decode", "splitter", "pretokenized")
    measuring = ("decode", "on_unknown")

    def _read(self, data: str, name: str | None, labels: bool, **told: Any) -> dict[str, Any]:
        column = told.get("column") or f"{self.model.settings.task}_tags"
        convert = told.get("convert_tags", False)
        return dict(read_tagged(data, column if labels else None, name=name, convert=convert))

    def held_out(self, splits: dict[str, Any]) -> dict[str, Any]:
        """See ``Commands``."""
        return with_validation(splits, seed=self.reading.seed)

    def texts(self, split: Any) -> Sequence[Any]:
        """See ``Commands``."""
        return split.tokens

    def fit_gate(self, split: Any, **settings: Any) -> ContextGate:
        """See ``Commands``."""
        model: Any = self.model
        return fit_gate(model, split.tokens, class_numbers(split, model.labels), **settings)


class Classifier(Tagger):
    """Texts get labels or numbers."""

    loader = ExitModelForSequenceClassification
    kind = "text classifiers"
    columns = ("column", "pair_column", "label_column")
    predicting = ()

    def _given(self, options: Mapping[str, Any], *known: str) -> dict[str, Any]:
        batching = options.get("batching")
        if batching is not None and hasattr(self.model, "use_batching"):
            self.model.use_batching(batching)
            options = {name: value for name, value in options.items() if name != "batching"}
        return super()._given(options, *known)

    def _read(self, data: str, name: str | None, labels: bool, **told: Any) -> dict[str, Any]:
        if not labels:
            told["label_column"] = None
        kind = text_task(self.model.settings.task).split
        return dict(read_texts(data, name=name, kind=kind, **told))

    def held_out(self, splits: dict[str, Any]) -> dict[str, Any]:
        """See ``Commands``."""
        name = "all" if set(splits) == {"all"} else "train"
        if name not in splits or splits[name].tags is None:
            return super().held_out(splits)
        return super().held_out({**splits, name: splits[name].labelled()})


class Cascade(Classifier):
    """Likewise, of several models."""

    loader = CascadeForSequenceClassification

    def fit_gate(self, split: Any, **settings: Any) -> ContextGate:
        """A cascade has no gate of its own.

        Raises:
            UserError: Says so.
        """
        raise UserError("Fit a context gate to a stage of a cascade: give its own folder.")
