"""What metrics that sacreBLEU computes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from tokenexit.metrics.base import Metric


class BySacreBleu(Metric):
    """Of the whole split, with sacreBLEU's defaults, from 0 to 1.

    Args:
        metric: One of sacreBLEU's.
    """

    scale = 100

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """See ``Metric``."""
        # All first references, all second ones, ... with gaps.
        streams: list[Any] = list(zip_longest(*references))
        return self._metric.corpus_score(list(predictions), streams).score / 100

    @property
    def signature(self) -> str:
        """SacreBLEU's."""
        return str(self._metric.get_signature())
