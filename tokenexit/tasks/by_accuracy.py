"""What tasks share that are scored by the share of right classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenexit.tasks.labelled import LabelledTask, Rows
from tokenexit.tasks.scoring.accuracy import accuracy_figures, right_of
from tokenexit.tasks.scoring.kinds import KindCount, count_classes


class ByAccuracy(LabelledTask):
    """A task whose rows get one class each, right or wrong."""

    metric = "accuracy"
    figures = ("accuracy", "macro_f1")
    libraries = ("sklearn",)

    def scored(self, rows: Rows) -> dict[str, float]:
        """See ``LabelledTask``."""
        return accuracy_figures(rows.prediction, rows.gold)

    def quick(self, rows: Rows) -> float:
        """See ``LabelledTask``."""
        return float((rows.prediction == rows.gold).mean())

    def by_kind(self, rows: Rows) -> list[KindCount]:
        """See ``LabelledTask``."""
        return count_classes(rows.prediction, rows.gold, rows.labels)

    def parts(self, rows: Rows, texts: int) -> NDArray[np.float64]:
        """See ``LabelledTask``."""
        return right_of(rows.prediction, rows.gold, rows.text, texts)
