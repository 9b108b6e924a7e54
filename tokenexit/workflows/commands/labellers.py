"""Taggers, text classifiers and cascades of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.context import ContextGate
from tokenexit.data.groups import with_groups
from tokenexit.data.tagged import read_tagged, with_validation
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.tasks.naming import text_task
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.training.fit_gate import fit_gate
from tokenexit.workflows.commands.base import Commands, check_only


class Tagger(Commands):
    """Words get labels."""

    model: Any

    loader = ExitModelForTokenClassification
    kind = "taggers"
    predicting = ("decode", "splitter", "pretokenized")
    measuring = ("decode", "on_unknown")

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """See ``Commands``."""
        known = ("column", "convert_tags", "group_column", "data_name")
        check_only(options, known, self.kind)
        column = options.get("column") or f"{self.model.settings.task}_tags"
        found = read_tagged(
            data,
            column if labels else None,
            name=options.get("data_name"),
            convert=options.get("convert_tags", False),
        )
        return with_groups(found, data, options.get("group_column"), options.get("data_name"))

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
    predicting = ()

    def _given(self, options: Mapping[str, Any], *known: str) -> dict[str, Any]:
        batching = options.get("batching")
        if batching is not None and hasattr(self.model, "use_batching"):
            self.model.use_batching(batching)
            options = {name: value for name, value in options.items() if name != "batching"}
        return super()._given(options, *known)

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """See ``Commands``."""
        known = ("column", "pair_column", "label_column", "group_column", "data_name")
        check_only(options, known, self.kind)
        found = read_texts(
            data,
            column=options.get("column"),
            pair_column=options.get("pair_column"),
            label_column=options.get("label_column", "label") if labels else None,
            name=options.get("data_name"),
            kind=text_task(self.model.settings.task).split,
        )
        return with_groups(found, data, options.get("group_column"), options.get("data_name"))

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
