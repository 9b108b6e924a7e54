"""What reducers share that keep so many rows of a text at each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies import ThresholdSpec
from tokenexit.policies.value import number, whole
from tokenexit.reducers.base import Fate, Place, Reducer

MOST = 1_000_000


class Counted(Reducer):
    """Keeps at each layer a share of the rows that were kept before it, or given numbers.

    Subclasses are frozen dataclasses with the fields below. A text that has fewer rows than a
    number says keeps all of them. Published numbers are of padded texts: a share of 0.8 is here
    of each text's own length.

    Attributes:
        ratio: Share of the rows of the layer before, rounded up.
        counts: Most rows of a text after each layer, from the first; the last goes for those
            that follow. None are given in an empty tuple.
        shares: Largest share of a text's own length after each layer, rounded up, likewise.
        layers: Where rows are taken out, from 1; everywhere where empty.
        least: No text is brought below so many rows.
    """

    ratio: float
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    layers: tuple[int, ...]
    least: int
    own_threshold = ThresholdSpec("ratio", strict=1.0, loose=0.05)

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("counts", "layers"):
            object.__setattr__(self, field, _whole(self, field))
        object.__setattr__(self, "shares", _shares(self))

    def limits(self, layer: int, lengths: Tensor) -> Tensor:
        """Most rows that texts of so many tokens have after a layer, ``[S] -> [S]``, long."""
        kept = lengths.clone()
        for past in range(1, layer + 1):
            if self._here(past):
                share = _of(kept, float(self.ratio))
                if self.shares:
                    share = torch.minimum(share, _of(lengths, _at(self.shares, past)))
                share = share.clamp_max(_at(self._given, past))
                kept = torch.minimum(kept, share.clamp_min(int(self.least)))
        return kept

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Whether a layer keeps less than all of the longest text."""
        if not self._here(layer):
            return False
        if self.ratio < 1 or _at(self._given, layer) < longest:
            return True
        return bool(self.shares) and _at(self.shares, layer) < 1

    def _here(self, layer: int) -> bool:
        return not self.layers or layer in self.layers

    @cached_property
    def _given(self) -> tuple[int, ...]:
        return self.counts or (MOST,)


@dataclass(frozen=True)
class Ranked(Counted):
    """A ``Counted`` with no other settings."""

    ratio: float = number(0.8, 0.0, 1.0)
    counts: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()
    least: int = whole(1, 1, MOST)
    fate: Fate = "drop"
    place: Place = "before"
    shares: tuple[float, ...] = ()


N = TypeVar("N", int, float)


def _at(given: Sequence[N], layer: int) -> N:
    """What is given for a layer; the last goes for those that follow."""
    return given[min(layer, len(given)) - 1]


def _of(rows: Tensor, share: float) -> Tensor:
    """A share of so many rows, rounded up; a hair less, or 0.8 of 5 might be more than 4."""
    return (rows.double() * share - 1e-9).ceil().long()


def _shares(reducer: Counted) -> tuple[float, ...]:
    """Shares above 0 up to 1, as a tuple.

    Raises:
        UserError: They are none.
    """
    value = reducer.shares
    if isinstance(value, list | tuple):
        numbers = [n for n in value if isinstance(n, int | float) and not isinstance(n, bool)]
        if len(numbers) == len(value) and all(0 < n <= 1 for n in numbers):
            return tuple(float(n) for n in numbers)
    raise UserError(
        f"{type(reducer).__name__}.shares must be numbers above 0 and up to 1, such as "
        f"[0.8, 0.7, 0.5], not {value!r}."
    )


def _whole(reducer: Counted, field: str) -> tuple[int, ...]:
    """A field of whole numbers from 1, as a tuple.

    Raises:
        UserError: It is none.
    """
    value = getattr(reducer, field)
    if isinstance(value, list | tuple):
        numbers = tuple(n for n in value if type(n) is int and 1 <= n <= MOST)
        if len(numbers) == len(value):
            return numbers
    raise UserError(
        f"{type(reducer).__name__}.{field} must be whole numbers from 1, such as [64, 48, 32], "
        f"not {value!r}."
    )
