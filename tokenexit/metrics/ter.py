"""Translation edit rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.metrics.base import METRICS
from tokenexit.metrics.by_sacrebleu import BySacreBleu


@METRICS.register("ter")
class Ter(BySacreBleu):
    """TER of the whole split, by sacreBLEU with its defaults: edits over reference words."""

    title = "TER"
    lower_is_better = True
    kind = "ter.TER"

    def parts(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]]
    ) -> NDArray[np.float64]:
        """Edits and mean length of the references of each text, ``[texts, 2]``."""
        rows = zip(predictions, references, strict=True)
        found: list[Any] = [self._metric.sentence_score(text, refs) for text, refs in rows]
        return np.array([[p.num_edits, p.ref_length] for p in found], float)

    def whole(self, sums: NDArray[np.float64]) -> float:
        """Edits over reference words; all wrong where there are edits and no words."""
        return float(sums[0] / sums[1]) if sums[1] else float(sums[0] > 0)
