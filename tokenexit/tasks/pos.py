"""Parts of speech: accuracy, since every word has one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenexit.tasks.base import TASKS
from tokenexit.tasks.labelled import Answers
from tokenexit.tasks.scoring.accuracy import accuracy_figures, right_of
from tokenexit.tasks.words import WordTask


@TASKS.register("pos")
class PartsOfSpeech(WordTask):
    """Each word gets its part of speech."""

    title: ClassVar[str] = "part-of-speech tagging"
    label_kind: ClassVar[str] = "parts of speech"
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
