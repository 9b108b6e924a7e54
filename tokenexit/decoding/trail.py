"""What is remembered of the tokens written so far: how deep each went, how it was doubted."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.context import ContextGate

Rows = NDArray[Any]
"""Numbers of sequences, of any type of integers."""

_FIRST = 32
"""Places to begin with."""


class LastTokens(TypedDict, total=False):
    """What ``Signals`` shows, by the same names; nothing where nobody looks."""

    last_depths: Tensor
    last_doubts: Tensor


class Trail:
    """Depths and doubts of the tokens of ``R`` sequences, by place.

    A token that is undone is written over. Before the first token there are ``reach`` columns of
    zeros, so that looking back needs no borders.

    Args:
        rows: Sequences.
        reach: How many of the last tokens are looked at.
        layers: Depth of the network.

    Attributes:
        depths: Share of the layers that each token took, ``[R, reach + places]``.
        doubts: How likely wrong a context gate last took its exit to be, of the same shape.
    """

    def __init__(self, rows: int, reach: int, layers: int) -> None:
        self.reach, self._layers = reach, layers
        self.depths = np.zeros((rows, reach + _FIRST), np.float32)
        self.doubts = np.zeros_like(self.depths)
        self._rows: Rows = np.arange(rows)
        self._place: int | Rows = 0

    @classmethod
    def of(cls, gate: ContextGate | None, rows: int, layers: int) -> Trail | None:
        """What a gate looks at; None where it does not look back."""
        reach = 0 if gate is None else gate.config.steps
        return cls(rows, reach, layers) if reach else None

    def prepare(self, places: int) -> None:
        """Have room for so many tokens a sequence."""
        missing = self.reach + places - self.depths.shape[1]
        if missing > 0:
            wider = ((0, 0), (0, max(missing, self.depths.shape[1])))
            self.depths, self.doubts = np.pad(self.depths, wider), np.pad(self.doubts, wider)

    def open(self, rows: Rows, place: int | Rows) -> None:
        """Some sequences, ``[N]``, take the step of a place, or of one each."""
        self.prepare(int(np.max(place)) + 1)
        self.turn_to(rows, place)
        self.doubts[rows, self.reach + place] = 0.0

    def turn_to(self, rows: Rows, place: int | Rows) -> None:
        """Some sequences, ``[N]``, go on with the step they take."""
        self._rows, self._place = rows, place

    def last(self, sequence: Tensor) -> LastTokens:
        """What ``Signals`` shows of some of them, by their number among those, ``[n]``."""

        def newest_first(table: NDArray[np.float32]) -> Tensor:
            rows, place = self._of(sequence)
            columns = place + np.arange(self.reach - 1, -1, -1)
            return torch.from_numpy(table[rows[:, None], columns]).to(sequence.device)

        return {
            "last_depths": newest_first(self.depths),
            "last_doubts": newest_first(self.doubts),
        }

    def note(self, sequence: Tensor, wrong: Tensor) -> None:
        """What the gate says of some of them now."""
        rows, place = self._of(sequence)
        self.doubts[rows, self.reach + place[:, 0]] = wrong.detach().float().cpu().numpy()

    def _of(self, sequence: Tensor) -> tuple[Rows, Rows]:
        """Rows of some sequences, ``[n]``, and the places of their steps, ``[n, 1]``."""
        number = sequence.cpu().numpy()
        place = np.broadcast_to(self._place, self._rows.shape)
        return self._rows[number], place[number, None]

    def close(self, layers: Tensor) -> None:
        """Where all sequences left, ``[R]``, of which only those of the step are looked at."""
        left = layers.cpu().numpy()[self._rows]
        self.depths[self._rows, self.reach + self._place] = left / np.float32(self._layers)

    def forget(self, rows: Rows) -> None:
        """Some sequences give way to others."""
        self.depths[rows] = self.doubts[rows] = 0.0

    def keep(self, chosen: Rows) -> None:
        """Every sequence becomes a copy of another."""
        self.depths, self.doubts = self.depths[chosen], self.doubts[chosen]


def last_tokens(trail: Trail | None, sequence: Tensor) -> LastTokens:
    """As ``Trail.last``; nothing where nobody looks."""
    return {} if trail is None else trail.last(sequence)
