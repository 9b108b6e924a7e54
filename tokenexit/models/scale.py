"""Numbers as a regression learns them, and as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from tokenexit.data.texts import ScoredSplit
from tokenexit.errors import UserError

FAR = 99.0
"""Deviations beyond which nothing is learned: -100 stands for a text without a number."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training values; exits tell deviations from the mean.

    A network that starts from nothing would spend its first steps on finding the mean, and a
    threshold of a policy would mean another thing for every data set. The plain transformers
    model of the folder says deviations, too: ``value = mean + std * output``.

    Args:
        mean: Of the training values.
        std: Their standard deviation.

    Raises:
        UserError: One is no finite number, or ``std`` is not above 0.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or (name == "std" and value <= 0):
                raise UserError(f"Scale.{name} must be a finite number, std above 0: {self!r}.")

    @classmethod
    def of(cls, split: ScoredSplit) -> Self:
        """That of a training split.

        Raises:
            UserError: It holds fewer than two different values.
        """
        values = np.array([v for row in split.values for v in row if not math.isnan(v)])
        if len(set(values.tolist())) < 2:
            raise UserError(f"{split.origin}: a regression needs two or more different values.")
        return cls(float(values.mean()), float(values.std()))

    @classmethod
    def saved(cls, data: Mapping[str, Any] | None) -> Self | None:
        """From plain data; None for a model of classes.

        Raises:
            UserError: As the class, or there is something else than both numbers.
        """
        if data is None:
            return None
        if data.keys() != {"mean", "std"}:
            raise UserError(f"A scale has a mean and a std, and nothing else: {dict(data)!r}.")
        return cls(data["mean"], data["std"])

    def deviation(self, value: float) -> float:
        """What is learned in a value's place; -100.0 for NaN, which is no value.

        Raises:
            UserError: The value is out of all proportion to the training values.
        """
        if math.isnan(value):
            return -100.0
        found = (value - self.mean) / self.std
        if not abs(found) < FAR:
            raise UserError(
                f"The value {value:g} lies {abs(found):.0f} standard deviations from the mean of "
                f"the training values, {self.mean:g}; mend or drop it."
            )
        return found

    def value(self, deviation: Any) -> Any:
        """The value that a deviation stands for, a number or an array."""
        return self.mean + self.std * deviation
