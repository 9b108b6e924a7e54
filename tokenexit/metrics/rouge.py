"""ROUGE: words, pairs of words and longest common subsequence shared with a reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenexit.extras import require_libraries
from tokenexit.metrics.base import METRICS, Metric

_WORD = re.compile(r"[^\W_]+")


class UnicodeWords:
    """Words as the ``rouge-score`` package finds them in English, and in other scripts, too.

    Its own tokenizer keeps ``a-z0-9`` alone: of Greek or Chinese nothing would be left.
    """

    def tokenize(self, text: str) -> list[str]:
        """Lower-case words, without punctuation."""
        return _WORD.findall(text.lower())


class _Rouge(Metric):
    """Mean over texts of the F-measure, of the best reference where there are several."""

    scale = 100
    kind: ClassVar[str]

    def __init__(self) -> None:
        require_libraries("rouge_score", instead="choose another metric")
        from rouge_score.rouge_scorer import RougeScorer

        self._scorer = RougeScorer([self.kind], tokenizer=UnicodeWords())

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """See ``Metric``."""
        return self.whole(self.parts(predictions, references).sum(axis=0))

    def parts(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]]
    ) -> NDArray[np.float64]:
        """F-measure of each text, and 1, ``[texts, 2]``."""
        rows = zip(predictions, references, strict=True)
        found = [self._scorer.score_multi(list(refs), text)[self.kind] for text, refs in rows]
        return np.array([[one.fmeasure, 1.0] for one in found]).reshape(-1, 2)

    @property
    def signature(self) -> str:
        """Package and settings."""
        return f"rouge-score {version('rouge-score')}|F|no stemmer|Unicode words"


@METRICS.register("rouge1")
class Rouge1(_Rouge):
    """ROUGE-1 F-measure, mean over texts, from 0 to 1."""

    kind = "rouge1"
    title = "ROUGE-1"


@METRICS.register("rouge2")
class Rouge2(_Rouge):
    """ROUGE-2 F-measure, mean over texts, from 0 to 1."""

    kind = "rouge2"
    title = "ROUGE-2"


@METRICS.register("rougeL")
class RougeL(_Rouge):
    """ROUGE-L F-measure, mean over texts, from 0 to 1."""

    kind = "rougeL"
    title = "ROUGE-L"


def installed() -> bool:
    """Whether ROUGE can be computed here."""
    return find_spec("rouge_score") is not None
