"""Corpus BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.metrics.base import METRICS
from tokenexit.metrics.by_sacrebleu import BySacreBleu, of_sacrebleu


@METRICS.register("bleu")
class Bleu(BySacreBleu):
    """BLEU of the whole split, by sacreBLEU with its defaults, from 0 to 1."""

    title = "BLEU"
    kind = "bleu.BLEU"

    def __init__(self) -> None:
        super().__init__()
        self._by_text = of_sacrebleu(self.kind, effective_order=True)

    def parts(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]]
    ) -> NDArray[np.float64]:
        """Length, reference length, matches and n-grams of each text, ``[texts, 10]``."""
        rows = zip(predictions, references, strict=True)
        found: list[Any] = [self._by_text.sentence_score(text, refs) for text, refs in rows]
        return np.array([[p.sys_len, p.ref_len, *p.counts, *p.totals] for p in found], float)

    def whole(self, sums: NDArray[np.float64]) -> float:
        """See ``Metric``."""
        length, reference, *rest = sums.astype(int).tolist()
        found = type(self._metric).compute_bleu(rest[:4], rest[4:], length, reference, "exp")
        return found.score / 100
