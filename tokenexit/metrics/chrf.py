"""Corpus chrF."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.metrics.base import METRICS, Metric
from tokenexit.metrics.bleu import streams


@METRICS.register("chrf")
class Chrf(Metric):
    """chrF2 of the whole split, by sacreBLEU with its defaults, from 0 to 1."""

    def __init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        self._metric = CHRF()

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """See ``Metric``."""
        return self._metric.corpus_score(list(predictions), streams(references)).score / 100

    @property
    def signature(self) -> str:
        """SacreBLEU's."""
        return str(self._metric.get_signature())
