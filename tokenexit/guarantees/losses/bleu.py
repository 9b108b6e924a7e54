"""BLEU of single texts; that of a corpus is no mean over texts, and cannot be promised."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.extras import require_libraries
from tokenexit.guarantees.likeness import Costs, Differs, Kept, Likeness
from tokenexit.guarantees.losses.base import LOSSES


class SentenceBleu(Likeness):
    """Smoothed BLEU of one text, by sacreBLEU."""

    title = "sentence BLEU"

    def __init__(self) -> None:
        require_libraries("sacrebleu")
        from sacrebleu.metrics.bleu import BLEU

        self._metric = BLEU(effective_order=True)

    def of(self, text: str, references: Sequence[str]) -> float:
        """See ``Likeness``."""
        if text in references:
            return 1.0
        return self._metric.sentence_score(text, list(references)).score / 100


@LOSSES.register("sentence bleu differs")
class BleuDiffers(Differs):
    """Textual consistency (Schuster et al. 2022) by sentence BLEU."""

    likeness = SentenceBleu


@LOSSES.register("sentence bleu loss")
class BleuLoss(Costs):
    """Risk consistency by sentence BLEU, gains counted."""

    likeness = SentenceBleu


@LOSSES.register("sentence bleu kept")
class BleuKept(Kept):
    """The share of full depth's sentence BLEU that is kept."""

    likeness = SentenceBleu
