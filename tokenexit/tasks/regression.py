"""Numbers for texts: how well they follow the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.tagged import TaggedSplit
from tokenexit.data.texts import ScoredSplit
from tokenexit.errors import UserError
from tokenexit.policies import Policy
from tokenexit.policies.value_patience import ValuePatience
from tokenexit.tasks.base import TASKS, Level
from tokenexit.tasks.labelled import Answers
from tokenexit.tasks.scoring.correlation import correlation
from tokenexit.tasks.texts import TextTask

if TYPE_CHECKING:
    import pyarrow as pa


@TASKS.register("regression")
class Regression(TextTask):
    """Each text gets a number."""

    title: ClassVar[str] = "scoring texts"
    level: ClassVar[Level] = "value"
    metric: ClassVar[str] = "correlation"
    figures: ClassVar[tuple[str, ...]] = ("correlation", "pearson", "spearman", "mse")
    countable: ClassVar[bool] = False

    def scored(
        self, prediction: Answers, gold: Answers, text: Answers, labels: Sequence[str]
    ) -> dict[str, float]:
        """See ``LabelledTask``."""
        return correlation(prediction, gold)

    def quick(
        self, prediction: Answers, gold: Answers, text: Answers, labels: Sequence[str]
    ) -> float:
        """See ``LabelledTask``."""
        return correlation(prediction, gold)["correlation"]

    def named(
        self, prediction: Answers, gold: Answers, text: Answers, labels: Sequence[str]
    ) -> tuple[list[Any], list[Any]]:
        """One number a text."""
        return prediction.tolist(), gold.tolist()

    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """How little the number changes from exit to exit, once and twice in a row."""
        return [ValuePatience(), ValuePatience(times=2)]

    def said_fields(self) -> dict[str, pa.DataType]:
        """A number."""
        import pyarrow as pa

        return {"value": pa.float64()}

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
                f"{split.origin} holds classes or no labels, and the model tells numbers: give "
                "data of its own kind (read_texts(..., regression=True) reads numbers)."
            )
