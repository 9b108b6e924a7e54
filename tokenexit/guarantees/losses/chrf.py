"""chrF of single texts."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.extras import require_libraries
from tokenexit.guarantees.likeness import Costs, Differs, Kept, Likeness
from tokenexit.guarantees.losses.base import LOSSES


class SentenceChrf(Likeness):
    """chrF2 of one text, by sacreBLEU."""

    title = "chrF"

    def __init__(self) -> None:
        require_libraries("sacrebleu")
        from sacrebleu.metrics.chrf import CHRF

        self._metric = CHRF()

    def of(self, text: str, references: Sequence[str]) -> float:
        """See ``Likeness``."""
        if text in references:
            return 1.0  # an empty text has no letters to share
        return self._metric.sentence_score(text, list(references)).score / 100


@LOSSES.register("chrf differs")
class ChrfDiffers(Differs):
    """Textual consistency (Schuster et al. 2022) by chrF."""

    likeness = SentenceChrf


@LOSSES.register("chrf loss")
class ChrfLoss(Costs):
    """Risk consistency by chrF, gains counted."""

    likeness = SentenceChrf


@LOSSES.register("chrf kept")
class ChrfKept(Kept):
    """The share of full depth's chrF that is kept."""

    likeness = SentenceChrf
