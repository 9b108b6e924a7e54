"""What a schedule asks of a runtime: take texts in, read tokens, run a segment for some rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.cache import Index
from tokenexit.decoding.work import DecodeWork


@dataclass(frozen=True, eq=False)
class Left:
    """Who left after a segment.

    Attributes:
        gone: Which of the rows that were asked for, ``[n]`` bool.
        layer: Where, from 1.
        tokens: The next token of each that left, ``[g]``; None if nobody did.
        told: The same for the host.
    """

    gone: NDArray[np.bool_]
    layer: int
    tokens: Tensor | None
    told: list[int]


Pick = Callable[[Index, Tensor], Tensor]
"""The next token of some of the rows of a round, by their numbers in it ``[n]`` and their logits
``[n, V]``."""


class Lanes(ABC):
    """Texts being written, one a slot, each at its own place and depth.

    Attributes:
        work: What has been computed so far.
    """

    work: DecodeWork

    @property
    @abstractmethod
    def segments(self) -> int:
        """Runs of layers between two exits at which rows may be asked."""

    @abstractmethod
    def admit(self, slots: Index, memory: Tensor, mask: Tensor) -> None:
        """Begin new texts.

        Args:
            slots: Where, ``[n]``; what was there has ended.
            memory: Encoder states, ``[n, S, H]``.
            mask: 1 for real tokens, ``[n, S]``.
        """

    @abstractmethod
    def read(self, slots: Index, tokens: Tensor) -> None:
        """Give texts, ``[n]``, their next token, ``[n]``: they stand before segment 0."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Nobody uses it any longer."""

    @abstractmethod
    def run(self, segment: int, slots: Index, pick: Pick) -> Left:
        """Compute a segment for texts that stand before it, ``[n]`` ascending, and ask them.

        Args:
            segment: Which.
            slots: Of the texts.
            pick: Chooses tokens of those that leave.
        """
