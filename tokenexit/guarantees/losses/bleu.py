"""BLEU of single texts; that of a corpus is no mean over texts, and cannot be promised."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.guarantees.likeness import Likeness, promised
from tokenexit.metrics.by_sacrebleu import of_sacrebleu


@promised("sentence bleu")
class SentenceBleu(Likeness):
    """Smoothed BLEU of one text, by sacreBLEU."""

    title = "sentence BLEU"

    def __init__(self) -> None:
        self._metric = of_sacrebleu("bleu.BLEU", effective_order=True)

    def of(self, text: str, references: Sequence[str]) -> float:
        """See ``Likeness``."""
        if text in references:
            return 1.0
        return self._metric.sentence_score(text, list(references)).score / 100
