"""Taggers, text classifiers and cascades of them."""

from __future__ import annotations

from typing import Any

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.found import Calibration
from tokenexit.context import ContextGate
from tokenexit.data.tagged import read_tagged, with_validation
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError
from tokenexit.evaluation.bench import BenchResult, bench
from tokenexit.evaluation.evaluate import Result, evaluate
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.policies import Policy
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.training.fit_gate import fit_gate
from tokenexit.workflows.commands.base import Commands, check_only


class Tagger(Commands):
    """Words get labels."""

    model: EncoderModel | CascadeForSequenceClassification

    loader = ExitModelForTokenClassification
    kind = "taggers"
    predicting = ("decode", "splitter", "pretokenized")

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """See ``Commands``."""
        check_only(options, ("column", "convert_tags", "data_name"), "taggers")
        column = options.get("column") or f"{self.model.settings.task}_tags"
        return read_tagged(
            data,
            column if labels else None,
            name=options.get("data_name"),
            convert=options.get("convert_tags", False),
        )

    def held_out(self, splits: dict[str, Any]) -> dict[str, Any]:
        """See ``Commands``."""
        return with_validation(splits, seed=self.reading.seed)

    def evaluate(self, split: Any, name: str, policy: Policy | None, **options: Any) -> Result:
        """See ``Commands``."""
        given = {k: v for k, v in options.items() if v is not None}
        check_only(given, ("batch_size", "decode", "on_unknown", "oracle"), "taggers")
        return evaluate(self.model, split, name, policy, **given)[0]

    def calibrate(
        self, split: Any, name: str, config: CalibrateConfig, family: Any, size: int, **more: Any
    ) -> Calibration:
        """See ``Commands``."""
        families = None if family is None else [family]
        told = {"families": families, "batch_size": size, **more}
        return calibrate(self.model, split, config, name=name, **told)

    def fit_gate(self, split: Any, **settings: Any) -> ContextGate:
        """See ``Commands``."""
        model: Any = self.model
        return fit_gate(model, split.tokens, class_numbers(split, model.labels), **settings)

    def bench(
        self, split: Any, limit: int | None, policy: Policy | None, **options: Any
    ) -> BenchResult:
        """See ``Commands``."""
        given = {k: v for k, v in options.items() if v is not None}
        check_only(given, ("batch_size", "repeats", "against"), "taggers")
        return bench(self.model, split.tokens[:limit], chosen_policy(self.model, policy), **given)


class Classifier(Tagger):
    """Texts get labels or numbers."""

    loader = ExitModelForSequenceClassification
    kind = "text classifiers"
    predicting = ()

    def read(self, data: str, options: dict[str, Any], labels: bool = True) -> dict[str, Any]:
        """See ``Commands``."""
        known = ("column", "pair_column", "label_column", "data_name")
        check_only(options, known, "text classifiers")
        return read_texts(
            data,
            column=options.get("column"),
            pair_column=options.get("pair_column"),
            label_column=options.get("label_column", "label") if labels else None,
            name=options.get("data_name"),
            regression=not labelled_task(self.model.settings.task).countable,
        )

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
