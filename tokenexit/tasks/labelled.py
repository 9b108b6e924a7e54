"""Tasks whose rows get a label or a number: words and texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.tagged import TaggedSplit, check_labels
from tokenexit.data.texts import ScoredSplit
from tokenexit.errors import UserError
from tokenexit.metrics import build_metric, measure
from tokenexit.policies import Policy
from tokenexit.tasks.base import Scored, Task
from tokenexit.tasks.scoring.accuracy import right_of
from tokenexit.tasks.scoring.kinds import KindCount

Answers = NDArray[Any]
"""Classes, or numbers, ``[W]``: one a row, by text and position."""

NO_LABEL = -100
"""Gold class of a row without one."""

UNKNOWN_NAME = "<unknown>"
"""Name of a label that the model does not know."""


class Rows(NamedTuple):
    """Rows with a gold answer, as a task scores them.

    Attributes:
        prediction: Answers, ``[W]``.
        gold: True ones, ``[W]``.
        text: Number of each row's text, ``[W]``.
        labels: Names of the classes.
    """

    prediction: Answers
    gold: Answers
    text: Answers
    labels: Sequence[str]

    def names(self, classes: Answers) -> NDArray[np.object_]:
        """Names of classes, ``[W]``."""
        names = np.array([*self.labels, UNKNOWN_NAME], dtype=object)
        return names[np.where(classes < 0, len(self.labels), classes)]


class LabelledTask(Task):
    """A task whose rows get an answer each.

    Arrays are ``[W]``, one entry a row, in order of text and position; gold classes are as
    ``class_numbers`` gives them.
    """

    of: ClassVar[Scored] = "labels"
    label_kind: ClassVar[str] = "labels"
    """What its labels are, in the plural."""

    f1: ClassVar[bool] = False
    """Whether its usual figure is a micro F1, so that ``parts`` are its two sums."""

    @abstractmethod
    def scored(self, rows: Rows) -> dict[str, float]:
        """All figures of rows that have a gold answer."""

    @abstractmethod
    def quick(self, rows: Rows) -> float:
        """The usual figure alone, for searches that score hundreds of settings."""

    @abstractmethod
    def named(self, rows: Rows) -> tuple[list[Any], list[Any]]:
        """Predictions and gold answers as a ``Metric`` of labels gets them."""

    @abstractmethod
    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """Policies that are searched when the user names none.

        Args:
            labels: Names of the classes.
            context: Whether the model has a context gate, which is then the first.
        """

    def parts(self, rows: Rows, texts: int) -> NDArray[np.float64]:
        """Numerator and denominator of the usual figure by text, ``[texts, 2]``; they add up.

        Args:
            rows: Those to score.
            texts: How many texts there are.

        Raises:
            UserError: The figure is not made of sums over texts.
        """
        raise UserError(f"{self.metric}, the figure of {self.name}, is not made of sums.")

    def by_kind(self, rows: Rows) -> list[KindCount]:
        """Answers counted by class, label or type; none where they are not of kinds.

        Args:
            rows: Those with a gold answer.
        """
        return []

    def counted(self, rows: Rows, texts: int) -> dict[str, NDArray[np.float64]]:
        """What promises count of right answers by text, ``[texts]`` each; see ``Columns``.

        Args:
            rows: Those with a gold answer.
            texts: How many texts there are.
        """
        right, every = right_of(rows.prediction, rows.gold, rows.text, texts).T
        found = {"right": right, "exact": (right == every).astype(np.float64)}
        if self.f1:
            found["f1_over"], found["f1_under"] = self.parts(rows, texts).T
        return found

    def listed(self, labels: Sequence[str]) -> list[str]:
        """Names that a card lists of the classes."""
        return list(labels)

    def known(self, gold: Answers) -> NDArray[np.bool_]:
        """Rows with a gold answer, ``[W]``."""
        return gold != NO_LABEL

    def graded(
        self,
        prediction: Answers,
        gold: Answers,
        text: Answers,
        labels: Sequence[str],
        metric: str | None = None,
    ) -> dict[str, Any]:
        """Score a run; rows without a gold answer are left out.

        Args:
            prediction: Answers.
            gold: True ones.
            text: Number of each row's text.
            labels: Names of the classes.
            metric: A figure of the task or a metric of labels; the task's usual one when None.

        Returns:
            ``metric``, ``quality`` (that metric, 0 to 1) and every further figure of the task.

        Raises:
            UserError: The metric gives no quality.
        """
        known = self.known(gold)
        rows = Rows(prediction[known], gold[known], text[known], labels)
        figures: dict[str, Any] = self.scored(rows)
        metric = metric or self.metric
        if metric not in self.figures:
            figures[metric] = measure(build_metric(metric, "labels"), metric, *self.named(rows))
        quality = figures[metric]
        if metric != self.metric:
            # A correlation that points the wrong way is worth no more than none.
            quality = max(float(quality), 0.0)
        return {"metric": metric, "quality": quality, **figures}

    def check_answers(self, split: TaggedSplit, labels: Sequence[str], on_unknown: str) -> None:
        """Refuse a split that a model of this task cannot be measured by.

        Args:
            split: Labelled texts.
            labels: Names of the classes.
            on_unknown: See ``check_labels``.

        Raises:
            UserError: Numbers in the place of classes, or unknown labels.
        """
        if isinstance(split, ScoredSplit):
            raise UserError(
                f"{split.origin} holds numbers or no labels, and the model names classes: give "
                "data of its own kind."
            )
        # Texts without a label are left out of every figure.
        check_labels(split.labelled(), labels, on_unknown)

    def check_known(self, splits: Mapping[str, TaggedSplit], labels: Sequence[str]) -> None:
        """Say which labels of the splits to measure on the training split does not have."""
        for name in ("validation", "test"):
            if name in splits:
                check_labels(splits[name], labels, "keep")
