"""ROUGE-L of single texts."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.guarantees.likeness import Likeness, promised
from tokenexit.metrics import build_metric


@promised("rougeL")
class SentenceRougeL(Likeness):
    """Longest common subsequence of words, as F-measure of the best reference."""

    title = "ROUGE-L"

    def __init__(self) -> None:
        self._metric = build_metric("rougeL", "texts")

    def of(self, text: str, references: Sequence[str]) -> float:
        """See ``Likeness``."""
        if text in references:
            return 1.0
        return float(self._metric.score([text], [list(references)]))
