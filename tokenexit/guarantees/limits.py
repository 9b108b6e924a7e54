"""Up to how much of a text's loss counts, where a text may lose any amount.

A gambler needs a floor under what the next text may cost. It is fixed before that text is seen, by
the texts before it, as stakes are: so it may follow the data, and Ville's inequality still holds.
What is promised is the loss counted up to the least limit that was used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SPANS = 4.0
"""Where nothing else says; for F1, where a wrong entity costs up to 2, two to four of them."""

FEWER = 2.0
"""The same where full depth has little to spare on all texts together."""

SPARE = 14.0
"""From so much on it has enough: half again as much as a promise takes of which nothing is lost."""

FIRST = 30
"""Texts after which what they have to spare says something."""


class Limit(Protocol):
    """A rule, and what it reads of each text at full depth: never what exits lose."""

    @property
    def least(self) -> float:
        """The least limit that it may set."""
        ...

    def before(self, horizon: int) -> Numbers:
        """The limit of each text, set by those before it, ``[..., n]``.

        Args:
            horizon: Texts that the test was planned for.
        """
        ...

    def take(self, texts: NDArray[np.int64]) -> Self:
        """That of some texts, in that order."""
        ...

    def pooled(self, groups: NDArray[np.int64]) -> Self:
        """That of documents; ``groups`` numbers each text's, from 0, ``[n]``."""
        ...


@dataclass(frozen=True)
class BySpare:
    """``FEWER`` where the texts so far say that all together will not have ``SPARE`` to spare.

    Example: of ``f1 kept >= 0.99`` a text with one right entity may lose ``0.01 * 2 = 0.02``. With
    500 texts planned that is 10 in all, below 14: after 30 such texts what one loses counts up
    to 2.

    Attributes:
        spare: What each text may lose by the promise, ``[..., n]``.
    """

    spare: Numbers

    @property
    def least(self) -> float:
        """See ``Limit``."""
        return FEWER

    def before(self, horizon: int) -> Numbers:
        """See ``Limit``."""
        seen = np.arange(self.spare.shape[-1])
        so_far = self.spare.cumsum(axis=-1) - self.spare
        little = so_far * horizon < SPARE * seen
        return np.where(little & (seen >= FIRST), FEWER, SPANS)

    def take(self, texts: NDArray[np.int64]) -> Self:
        """See ``Limit``."""
        return replace(self, spare=self.spare[texts])

    def pooled(self, groups: NDArray[np.int64]) -> Self:
        """See ``Limit``: the mean of a document's texts, as of their numbers."""
        return replace(self, spare=np.bincount(groups, self.spare) / np.bincount(groups))


@dataclass(frozen=True)
class ByLongest:
    """The longest text so far, and ``first`` at least.

    Attributes:
        words: Of each text, ``[..., n]``.
        first: The limit until there is a longer text.
    """

    words: Numbers
    first: float

    @property
    def least(self) -> float:
        """See ``Limit``."""
        return self.first

    def before(self, horizon: int) -> Numbers:
        """See ``Limit``."""
        longest = np.maximum.accumulate(np.maximum(self.words, self.first), axis=-1)
        start = np.full_like(longest[..., :1], self.first)
        return np.concatenate([start, longest[..., :-1]], axis=-1)

    def take(self, texts: NDArray[np.int64]) -> Self:
        """See ``Limit``."""
        return replace(self, words=self.words[texts])

    def pooled(self, groups: NDArray[np.int64]) -> Self:
        """See ``Limit``: the longest text of each document."""
        longest = np.zeros(groups.max(initial=-1) + 1)
        np.maximum.at(longest, groups, self.words)
        return replace(self, words=longest)
