"""What a metric is, and where metrics are found by name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError, unknown_name
from tokenexit.registry import Registry

METRICS: Registry[Metric] = Registry("metric", "tokenexit.metrics")
"""Every metric by name. To add one, register a subclass of ``Metric`` in a file of its own."""


class Metric(ABC):
    """A number that stands for the quality of a whole split.

    It is 0 or more. Those of this package lie from 0 to 1 and are written as their field writes
    them (BLEU from 0 to 100); your own is written as it is.

    Attributes:
        of: ``texts``, what a generator writes; or ``labels``, what a tagger or classifier says.
        lower_is_better: Whether it counts errors. What is kept of such a metric is the value at
            full depth over that with exits: 99 % kept lets the errors grow by 1.01 %.
        title: How it is written; its name when None.
        scale: What it is multiplied by when it is written.
    """

    of: ClassVar[Literal["texts", "labels"]] = "texts"
    lower_is_better: ClassVar[bool] = False
    title: ClassVar[str | None] = None
    scale: ClassVar[int] = 1

    @abstractmethod
    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> float:
        """Score a split.

        Args:
            predictions: Of texts, strings. Of labels, one list of names a text for a tagger, one
                name a text for a classifier, one number a text for a regression.
            references: Of texts, a list of one or more strings for each. Of labels, the same as
                the predictions; words without a gold label are left out of both, and a label
                that the model does not know is ``<unknown>``.
        """

    def parts(
        self, predictions: Sequence[Any], references: Sequence[Any]
    ) -> NDArray[np.float64] | None:
        """What each text adds to the score, ``[texts, K]``, for ``calibrate.confidence``.

        None where the score is not made of sums over texts.
        """
        return None

    def whole(self, sums: NDArray[np.float64]) -> float:
        """The score for sums of ``parts``, ``[K]``; by default the first over the second."""
        return float(sums[0] / sums[1]) if sums[1] else 0.0

    @property
    def signature(self) -> str | None:
        """How it was computed, to be quoted with it."""
        return None


def build_metric(name: str, of: str) -> Metric:
    """A metric by name.

    Args:
        name: Of the metric.
        of: What it has to score: ``texts`` or ``labels``.

    Raises:
        UserError: There is none of that name that scores such a thing.
    """
    fitting = [known for known, cls in METRICS.items() if cls.of == of]
    if name not in fitting:
        raise unknown_name(f"metric of {of}", name, fitting)
    return METRICS.get(name)()


def measure(
    metric: Metric, name: str, predictions: Sequence[Any], references: Sequence[Any]
) -> float:
    """Score, and refuse what is no quality.

    Raises:
        UserError: The metric gives no number, or one below 0, of which no share can be kept.
    """
    value = metric.score(predictions, references)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise UserError(
            f"The metric {name!r} gives {value!r}; it has to be a number from 0 up, so that a "
            "share of it can be kept. Shift or scale it."
        )
    return number
