"""What reducers share that keep so many rows of a text at each layer."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies import ThresholdSpec
from tokenexit.policies.base import check_number
from tokenexit.reducers.base import Reducer

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
        layers: Where rows are taken out, from 1; everywhere where empty.
        least: No text is brought below so many rows.
    """

    ratio: float
    counts: tuple[int, ...]
    layers: tuple[int, ...]
    least: int
    own_threshold = ThresholdSpec("ratio", strict=1.0, loose=0.05)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "ratio", 0.0, 1.0)
        check_number(self, "least", 1, MOST, integer=True)
        for field in ("counts", "layers"):
            object.__setattr__(self, field, _whole(self, field))

    def limits(self, layer: int, lengths: Tensor) -> Tensor:
        """Most rows that texts of so many tokens have after a layer, ``[S] -> [S]``, long."""
        kept = lengths.clone()
        for past in range(1, layer + 1):
            if self._here(past):
                # A hair less, or 0.8 of 5 might be more than 4.
                share = (kept.double() * float(self.ratio) - 1e-9).ceil().long()
                share = share.clamp_max(self._given[min(past, len(self._given)) - 1])
                kept = torch.minimum(kept, share.clamp_min(int(self.least)))
        return kept

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Whether a layer keeps less than all of the longest text."""
        if not self._here(layer):
            return False
        return self.ratio < 1 or self._given[min(layer, len(self._given)) - 1] < longest

    def _here(self, layer: int) -> bool:
        return not self.layers or layer in self.layers

    @cached_property
    def _given(self) -> tuple[int, ...]:
        return self.counts or (MOST,)


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
