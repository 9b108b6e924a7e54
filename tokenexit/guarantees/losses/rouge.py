"""ROUGE-L of single texts."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.guarantees.likeness import Costs, Differs, Kept, Likeness
from tokenexit.guarantees.losses.base import LOSSES
from tokenexit.metrics import build_metric


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


@LOSSES.register("rougeL differs")
class RougeDiffers(Differs):
    """Textual consistency (Schuster et al. 2022) by ROUGE-L."""

    likeness = SentenceRougeL


@LOSSES.register("rougeL loss")
class RougeLoss(Costs):
    """Risk consistency (Schuster et al. 2022) by ROUGE-L, gains counted."""

    likeness = SentenceRougeL


@LOSSES.register("rougeL kept")
class RougeKept(Kept):
    """The share of full depth's ROUGE-L that is kept."""

    likeness = SentenceRougeL
