"""What a promise makes of each text: numbers whose mean says whether it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from tokenexit.guarantees.limits import Limit, Numbers

Kind = Literal["binary", "share", "signed"]
"""``binary``: a text is lost or not; ``share``: so much of it, from 0 to 1; ``signed``: exits may
also do better than full depth, and gains count against losses."""


@dataclass(frozen=True)
class Terms:
    """One number ``z`` a text; a promise holds exactly where its expectation is at least 0.

    A ratio such as F1 has no such number, unless full depth's own quality ``F`` were known. At the
    true ``F`` it is a straight line in ``F``, so that its two ends, at 0 and at 1, say all: a bet
    that wins at both wins at every ``F`` between.

    Example: full depth has 3 of 4 spans right in a text with 4 gold ones, exits 2 of 3. Of
    ``f1 kept >= 0.9`` the ends are ``2 * 2 - 0.9 * 2 * 3 = -1.4`` and
    ``-1.4 + 0.9 * ((4 + 4) - (3 + 4)) = -0.5``.

    Attributes:
        low: ``z`` at ``F = 0``, ``[n]``.
        high: ``z`` at ``F = 1``, ``[n]``; ``low`` itself where nothing is unknown.
        floor: The least possible ``z``, below 0; of each text where ``settled`` says so, ``[n]``.
        kind: What is known of ``z`` beside: ``1 + floor - z`` is the loss of ``binary`` and
            ``share``.
        limit: Sets the floor of each text by those before it, once texts are in order; None where
            the floor is known.
    """

    low: Numbers
    high: Numbers
    floor: float | Numbers
    kind: Kind = "signed"
    limit: Limit | None = None

    @classmethod
    def lost(cls, loss: Numbers, allowed: float, kind: Kind) -> Self:
        """Of a loss from 0 to 1 (``signed``: from -1) that is at most ``allowed`` on average."""
        z = allowed - np.asarray(loss, dtype=np.float64)
        return cls(z, z, allowed - 1.0, kind)

    @classmethod
    def counted(cls, low: Numbers, high: Numbers, limit: Limit | float) -> Self:
        """Numbers without a floor of their own: what a text loses counts up to a limit.

        Args:
            low: As above.
            high: As above.
            limit: One for all, or a rule that sets each from the texts before it.
        """
        if isinstance(limit, int | float):
            return cls(low, high, -float(limit))._clipped()
        return cls(low, high, -limit.least, limit=limit)

    def settled(self, horizon: int | None = None) -> Self:
        """With a floor under each text. Texts are in their order.

        Args:
            horizon: Texts that the test was planned for; those that there are when None.
        """
        if self.limit is None:
            return self
        limits = self.limit.before(horizon or self.low.shape[-1])
        return replace(self, floor=-limits, limit=None)._clipped()

    def _clipped(self) -> Self:
        """Both ends are clipped, never ``z`` itself.

        The line between clipped ends lies on or above the clipped line, and stays a line, of which
        the ends are still the extremes.
        """
        low = np.maximum(self.low, self.floor)
        high = low if self.high is self.low else np.maximum(self.high, self.floor)
        return replace(self, low=low, high=high)

    def __len__(self) -> int:
        return len(self.low)

    @property
    def middle(self) -> Numbers:
        """The mean of both ends, ``[n]``."""
        return (self.low + self.high) / 2

    @property
    def loss(self) -> Numbers:
        """Loss of each text from 0 to 1, of kinds ``binary`` and ``share``, ``[n]``."""
        return 1.0 + self.floor - self.low

    @property
    def allowed(self) -> float:
        """The loss that is allowed, of kinds ``binary`` and ``share``."""
        return float(1.0 + np.min(self.floor))

    @property
    def counts_up_to(self) -> float:
        """What a text loses counts up to this, wherever the test looked: the least limit."""
        return float(np.min(-np.asarray(self.floor), initial=math.inf))

    def take(self, texts: NDArray[np.int64]) -> Self:
        """Those of some texts, in that order."""
        low = self.low[texts]
        high = low if self.high is self.low else self.high[texts]
        floor = self.floor[texts] if isinstance(self.floor, np.ndarray) else self.floor
        limit = self.limit and self.limit.take(texts)
        return replace(self, low=low, high=high, floor=floor, limit=limit)

    def pooled(self, groups: NDArray[np.int64]) -> Self:
        """One number a document, the mean of its texts, ``[D]``.

        Texts of one document are alike, so that many of them say little more than one does.

        Args:
            groups: Number of each text's document, from 0, ``[n]``.
        """
        sizes = np.bincount(groups)
        low = np.bincount(groups, self.low) / sizes
        high = low if self.high is self.low else np.bincount(groups, self.high) / sizes
        limit = self.limit and self.limit.pooled(groups)
        kind = "share" if self.kind == "binary" else self.kind
        return replace(self, low=low, high=high, kind=kind, limit=limit)
