"""What tasks share that are scored by the share of right classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenexit.tasks.labelled import Answers, LabelledTask
from tokenexit.tasks.scoring.accuracy import accuracy_figures, right_of


class ByAccuracy(LabelledTask):
    """A task whose rows get one class each, right or wrong."""

    metric: ClassVar[str] = "accuracy"
    figures: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    libraries: ClassVar[tuple[str, ...]] = ("sklearn",)

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
