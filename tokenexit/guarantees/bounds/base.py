"""A bound: evidence that a promise holds, out of one number a text."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from tokenexit.errors import UserError
from tokenexit.guarantees.terms import Kind, Terms
from tokenexit.registry import Registry

BOUNDS: Registry[Bound] = Registry("bound", "tokenexit.guarantees.bounds")

MOST_TEXTS = 10**6
"""Above so many, what is needed is not counted further."""


class Bound(ABC):
    """A test of "the promise is broken" for texts drawn alike and independently.

    A value without state, registered under its name.
    """

    kinds: ClassVar[tuple[Kind, ...]]
    """Of terms that it can judge; of several bounds the first by ``place`` is used."""

    place: ClassVar[int] = 100

    resumable: ClassVar[bool] = False
    """Whether one may add texts and look again, as often as one likes, at no cost."""

    def serves(self, terms: Terms) -> bool:
        """Whether it can judge such terms."""
        return terms.kind in self.kinds

    @abstractmethod
    def evidence(self, terms: Terms, delta: float, horizon: int | None = None) -> float:
        """Against "the promise is broken", as a factor on a log scale.

        Args:
            terms: Of the texts, in an order that was fixed beforehand.
            delta: Probability with which a broken promise may pass.
            horizon: Texts the test was planned for; those that there are when None.

        Returns:
            The promise passes where this reaches ``ln(1 / delta)``.
        """

    def passes(self, terms: Terms, delta: float, horizon: int | None = None) -> bool:
        """Whether the promise may be given."""
        return len(terms) > 0 and self.evidence(terms, delta, horizon) >= math.log(1 / delta)

    def needed(self, unharmed: Terms, delta: float) -> int | None:
        """How many texts it takes, even if exits change nothing.

        Args:
            unharmed: Terms of texts that exits do not change; such texts again and again.
            delta: As above.

        Returns:
            None where no number of texts is enough.
        """
        low, high = 0, 1
        while not self.passes(_repeated(unharmed, high), delta):
            low, high = high, 2 * high
            if high > MOST_TEXTS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.passes(_repeated(unharmed, middle), delta):
                high = middle
            else:
                low = middle
        return high


def bound_for(terms: Terms, resumed: bool = False, name: str | None = None) -> Bound:
    """The sharpest bound for these terms, or the one that is named.

    Args:
        terms: What it is to judge.
        resumed: Whether it has to allow looks in between.
        name: Of the bound.

    Raises:
        UserError: That one cannot judge them.
    """
    bounds = {key: cls() for key, cls in BOUNDS.items()}
    fitting = {
        key: bound
        for key, bound in bounds.items()
        if bound.serves(terms) and (bound.resumable or not resumed)
    }
    if name is None:
        return min(fitting.values(), key=lambda bound: bound.place)
    if name not in fitting:
        raise UserError(
            f"The bound {name} says nothing of such a promise; these do: {', '.join(fitting)}."
        )
    return fitting[name]


def _repeated(terms: Terms, count: int) -> Terms:
    """So many texts, the same in turn, as if as many were planned."""
    return terms.take(np.arange(count) % len(terms)).settled()
