"""Numbers for texts: how well they follow the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.tagged import TaggedSplit
from tokenexit.data.texts import ScoredSplit, TextSplit
from tokenexit.errors import UserError
from tokenexit.halting import Trace
from tokenexit.objectives import from_config
from tokenexit.objectives.base import check_regression
from tokenexit.policies import Policy
from tokenexit.policies.value_patience import ValuePatience
from tokenexit.tasks.answers import ScoredText
from tokenexit.tasks.base import TASKS
from tokenexit.tasks.labelled import Answers, Rows
from tokenexit.tasks.scoring.correlation import correlation
from tokenexit.tasks.texts import TextTask

if TYPE_CHECKING:
    import pyarrow as pa

VALUE = "value"
"""The one name among the labels of a model that tells a number."""


@TASKS.register("regression")
class Regression(TextTask):
    """Each text gets a number."""

    title = "scoring texts"
    policy_unit = "number"
    metric = "correlation"
    figures = ("correlation", "pearson", "spearman", "mse")
    libraries = ("scipy",)
    countable = False
    kept = "error kept"
    shown = "result.value, result.exit_layer"
    split: ClassVar[type[TextSplit]] = ScoredSplit
    # The usual objective compares probabilities.
    usual: ClassVar[Mapping[str, Any]] = {"train": {"objective": {"name": "joint"}}}

    def scored(self, rows: Rows) -> dict[str, float]:
        """See ``LabelledTask``."""
        return correlation(rows.prediction, rows.gold)

    def quick(self, rows: Rows) -> float:
        """See ``LabelledTask``."""
        return self.scored(rows)["correlation"]

    def counted(self, rows: Rows, texts: int) -> dict[str, NDArray[np.float64]]:
        """The absolute error of each text; 0 of one without a number."""
        missed: Any = np.bincount(rows.text, np.abs(rows.prediction - rows.gold), texts)
        return {"error": missed}

    def named(self, rows: Rows) -> tuple[list[Any], list[Any]]:
        """One number a text."""
        return rows.prediction.tolist(), rows.gold.tolist()

    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """How little the number changes from exit to exit, once and twice in a row."""
        return [ValuePatience(), ValuePatience(times=2)]

    def said(self, answer: Any) -> tuple[str, float | None]:
        """A number, of which nobody knows how sure it is."""
        return f"{answer.value:.4g}", None

    def said_fields(self) -> dict[str, pa.DataType]:
        """A number."""
        import pyarrow as pa

        return {"value": pa.float64()}

    def labels(self, split: TextSplit) -> tuple[str, ...]:
        """One name, of the number."""
        return (VALUE,)

    def answers(self, trace: Trace, labels: Sequence[str], texts: Sequence[Any]) -> list[Any]:
        """A number a text."""
        rows = zip(trace.prediction, trace.exit_layer, texts, strict=True)
        return [ScoredText(round(float(value), 6), int(layer), text) for value, layer, text in rows]

    def check_run(self, config: Any) -> None:
        """Refuse a run without data, a cascade, or an objective that compares probabilities.

        Raises:
            UserError: Says which.
        """
        if config.data is None:
            raise UserError(
                f"{self.name} needs data= with a number as the label of each text; what is "
                "generated has classes."
            )
        if config.stages:
            raise UserError("A cascade asks how sure a model is of its class; leave stages out.")
        for phase in config.train.each():
            check_regression(from_config(phase.objective))

    def known(self, gold: Answers) -> NDArray[np.bool_]:
        """See ``LabelledTask``."""
        return np.isfinite(gold)

    def check_known(self, splits: Mapping[str, TaggedSplit], labels: Sequence[str]) -> None:
        """Numbers are known, all of them."""

    def check_answers(self, split: TaggedSplit, labels: Sequence[str], on_unknown: str) -> None:
        """Refuse a split without numbers.

        Raises:
            UserError: It holds classes.
        """
        if not isinstance(split, ScoredSplit):
            raise UserError(
                f"{split.origin} holds classes or no labels, and the model predicts numbers: give "
                "data of its own kind (read_texts(..., regression=True) reads numbers)."
            )
