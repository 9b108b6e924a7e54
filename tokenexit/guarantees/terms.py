"""What a promise makes of each text: numbers whose mean says whether it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
"""One number a text, ``[n]``."""

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
        floor: The least possible ``z``, below 0.
        kind: What is known of ``z`` beside: ``1 + floor - z`` is the loss of ``binary`` and
            ``share``.
    """

    low: Numbers
    high: Numbers
    floor: float
    kind: Kind = "signed"

    @classmethod
    def lost(cls, loss: Numbers, allowed: float, kind: Kind) -> Self:
        """Of a loss from 0 to 1 (``signed``: from -1) that is at most ``allowed`` on average."""
        z = allowed - np.asarray(loss, dtype=np.float64)
        return cls(z, z, allowed - 1.0, kind)

    @classmethod
    def clipped(cls, low: Numbers, high: Numbers, most: float) -> Self:
        """Numbers without a floor of their own: what a text loses counts up to ``most``.

        Both ends are clipped, never ``z`` itself: the line between clipped ends lies on or above
        the clipped line, and stays a line, of which the ends are still the extremes.
        """
        clipped = np.maximum(low, -most)
        return cls(clipped, clipped if high is low else np.maximum(high, -most), -most)

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
        return 1.0 + self.floor

    def take(self, texts: NDArray[np.int64]) -> Self:
        """Those of some texts, in that order."""
        low = self.low[texts]
        return replace(self, low=low, high=low if self.high is self.low else self.high[texts])

    def pooled(self, groups: NDArray[np.int64]) -> Self:
        """One number a document, the mean of its texts, ``[D]``.

        Texts of one document are alike, so that many of them say little more than one does.

        Args:
            groups: Number of each text's document, from 0, ``[n]``.
        """
        sizes = np.bincount(groups)
        low = np.bincount(groups, self.low) / sizes
        high = low if self.high is self.low else np.bincount(groups, self.high) / sizes
        return replace(
            self, low=low, high=high, kind="share" if self.kind == "binary" else self.kind
        )
