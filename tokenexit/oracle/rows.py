"""Rows with what is known of their leaving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rows:
    """Where rows left, and where the oracle would have let them; all arrays are ``[N]``.

    Attributes:
        left: Layer at which each row left, from 1.
        oracle: Layer at which the oracle lets it leave.
        changed: Whether it says something else than at full depth.
    """

    left: NDArray[np.int64]
    oracle: NDArray[np.int64]
    changed: Mask

    def __len__(self) -> int:
        return len(self.left)

    def take(self, which: Mask) -> Rows:
        """Some of them."""
        return Rows(self.left[which], self.oracle[which], self.changed[which])

    @property
    def early(self) -> Mask:
        """Left before the oracle lets them."""
        return self.left < self.oracle

    @property
    def alarms(self) -> Mask:
        """False alarms: left early, and say something else than full depth."""
        return self.early & self.changed

    @property
    def disturbed(self) -> Mask:
        """Did not leave early and say something else all the same: others left before them."""
        return self.changed & ~self.early

    @property
    def late(self) -> Mask:
        """Left after the oracle lets them."""
        return self.left > self.oracle

    @property
    def lost(self) -> NDArray[np.int64]:
        """Layers after the oracle's."""
        return np.maximum(self.left - self.oracle, 0)
