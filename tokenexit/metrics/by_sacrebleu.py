"""What metrics that sacreBLEU computes have in common."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, ClassVar

from tokenexit.extras import require_libraries
from tokenexit.metrics.base import Metric


def of_sacrebleu(kind: str, **settings: Any) -> Any:
    """A metric of sacreBLEU.

    Args:
        kind: Its class and the module that has it, ``bleu.BLEU``.
        settings: Of the metric.

    Raises:
        UserError: The package is not there.
    """
    require_libraries("sacrebleu")
    module, _, name = kind.partition(".")
    return getattr(importlib.import_module(f"sacrebleu.metrics.{module}"), name)(**settings)


class BySacreBleu(Metric):
    """Of the whole split, with sacreBLEU's defaults, from 0 to 1."""

    scale = 100

    kind: ClassVar[str]
    """See ``of_sacrebleu``."""

    def __init__(self) -> None:
        self._metric = of_sacrebleu(self.kind)

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """See ``Metric``."""
        # All first references, all second ones, ... with gaps.
        streams: list[Any] = list(zip_longest(*references))
        return self._metric.corpus_score(list(predictions), streams).score / 100

    @property
    def signature(self) -> str:
        """SacreBLEU's."""
        return str(self._metric.get_signature())
