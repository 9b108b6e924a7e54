"""Where the heads and the neurons of a layer lie in its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tokenexit.widths import Entry, places_of

Cut = slice | Tensor
"""Numbers of rows or columns: the first so many, or ``[K]`` of them."""


@dataclass(frozen=True)
class Channels:
    """Heads, or neurons: rows of some products, and columns of the one that reads what they give.

    Attributes:
        into: Linear layers whose rows they are.
        out: The linear layer whose columns they are.
        size: Rows of each: of a head its width, of a neuron one.
        blocks: How often ``into`` holds all of them, one block after another.
    """

    into: Sequence[Any]
    out: Any
    size: int = 1
    blocks: int = 1

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.out.in_features) // self.size

    def columns(self, entry: Entry) -> Cut:
        """Columns of ``out`` that belong to what is kept."""
        if isinstance(entry, int):
            return slice(0, entry * self.size)
        first = torch.tensor(places_of(entry))[:, None] * self.size
        return (first + torch.arange(self.size)).flatten()

    def rows(self, entry: Entry) -> Cut:
        """Rows of ``into`` that belong to what is kept."""
        columns = self.columns(entry)
        if self.blocks == 1:
            return columns
        if isinstance(columns, slice):
            columns = torch.arange(columns.stop)
        starts = torch.arange(self.blocks)[:, None] * self.count * self.size
        return (starts + columns).flatten()


@dataclass(frozen=True)
class ChannelsOfLayer:
    """Those of one layer.

    Attributes:
        heads: Of the attention.
        neurons: Of the feed-forward block.
    """

    heads: Channels
    neurons: Channels
