"""chrF of single texts."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.guarantees.likeness import Likeness, promised
from tokenexit.metrics.by_sacrebleu import of_sacrebleu


@promised("chrf")
class SentenceChrf(Likeness):
    """chrF2 of one text, by sacreBLEU."""

    title = "chrF"

    def __init__(self) -> None:
        self._metric = of_sacrebleu("chrf.CHRF")

    def of(self, text: str, references: Sequence[str]) -> float:
        """See ``Likeness``."""
        if text in references:
            return 1.0  # an empty text has no letters to share
        return self._metric.sentence_score(text, list(references)).score / 100
