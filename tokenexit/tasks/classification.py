"""Classes of texts: accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenexit.policies import Policy
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.pcee import PCEE
from tokenexit.tasks.base import TASKS
from tokenexit.tasks.labelled import Answers, names_of
from tokenexit.tasks.scoring.accuracy import accuracy_figures, right_of
from tokenexit.tasks.texts import TextTask


@TASKS.register("classification")
class Classification(TextTask):
    """Each text gets a class."""

    title: ClassVar[str] = "text classification"
    metric: ClassVar[str] = "accuracy"
    figures: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")

    def scored(
        self, prediction: Answers, gold: Answers, text: Answers, labels: Sequence[str]
    ) -> dict[str, float]:
        """See ``LabelledTask``."""
        return accuracy_figures(prediction, gold)

    def quick(
        self, prediction: Answers, gold: Answers, text: Answers, labels: Sequence[str]
    ) -> float:
        """See ``LabelledTask``."""
        return float((prediction == gold).mean())

    def named(
        self, prediction: Answers, gold: Answers, text: Answers, labels: Sequence[str]
    ) -> tuple[list[Any], list[Any]]:
        """One name a text."""
        return names_of(prediction, labels).tolist(), names_of(gold, labels).tolist()

    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """Entropy, alone and twice in a row, and the margin; of a text there is no window."""
        gated: list[Policy] = [ContextGate()] if context else []
        return [*gated, Entropy(), PCEE(Entropy(), 2), Margin()]

    def parts(
        self,
        prediction: Answers,
        gold: Answers,
        text: Answers,
        labels: Sequence[str],
        texts: int,
    ) -> NDArray[np.float64]:
        """See ``LabelledTask``."""
        return right_of(prediction, gold, text, texts)
