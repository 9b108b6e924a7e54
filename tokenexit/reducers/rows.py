"""What a reducer may see of the rows at one layer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.errors import UserError


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows still computed, text after text, each text in its own order.

    Attributes:
        layer: The layer that is about to read them, or has just read them, from 1.
        num_layers: Depth of the network.
        text: Number of each row's text, ``[R]``, never falling; some texts may have left.
        lengths: Tokens of every text at the start, ``[S]``.
        position: Place of each row in its text, ``[R]``.
        item_id: Its vocabulary id, ``[R]``.
        pinned: Rows that stay whatever is said, the first of each text, ``[R]`` bool.
        hidden: States that entered the layer, ``[R, H]``.
        received: Attention that each row receives from all rows that ask, itself included, mean
            over heads, ``[R]``; only for reducers that read attention.
        own: The part of it that comes from itself, ``[R]``, likewise.
        by_first: Attention that the first row of its text gives each row, mean over heads, ``[R]``;
            nothing where that row has halted. Only for reducers that read it.
        score: What the layer's scorer says of each row, ``[R]``, the higher the more it is needed;
            only for reducers that read scores.
        bar: The layer's learned bar, ``[]``, if it has one; likewise.
        depth: Layer to which each row is to be computed, ``[R]``, where texts came with depths.
    """

    layer: int
    num_layers: int
    text: Tensor
    lengths: Tensor
    position: Tensor
    item_id: Tensor
    pinned: Tensor
    hidden: Tensor
    received: Tensor | None = None
    own: Tensor | None = None
    by_first: Tensor | None = None
    score: Tensor | None = None
    bar: Tensor | None = None
    depth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.text)

    def attention(self, own: bool) -> Tensor:
        """Attention that each row receives, ``[R]``, with or without its own.

        Raises:
            UserError: The reducer has not said that it reads attention.
        """
        if self.received is None or self.own is None:
            raise UserError('A reducer that asks for attention says reads = "attention".')
        return self.received if own else self.received - self.own

    def first_attention(self) -> Tensor:
        """Attention that each row receives from the first of its text, ``[R]``.

        Raises:
            UserError: The reducer has not said that it reads it.
        """
        if self.by_first is None:
            raise UserError(
                'A reducer that asks for the first row\'s attention says reads = "first".'
            )
        return self.by_first

    def scores(self) -> Tensor:
        """What the layer's scorer says, ``[R]``.

        Raises:
            UserError: The reducer has not said that it reads scores.
        """
        if self.score is None:
            raise UserError('A reducer that asks for scores says reads = "scores".')
        return self.score

    def select(self, index: Tensor) -> Rows:
        """Some of the rows.

        Args:
            index: Their places, ``[N]``, never falling.
        """
        columns = {
            name: value[index]
            for name, value in vars(self).items()
            if name != "lengths" and isinstance(value, Tensor) and value.ndim
        }
        return dataclasses.replace(self, **columns)

    def best(self, score: Tensor, counts: Tensor) -> Tensor:
        """The best so many rows of each text, ``[R]`` bool; of equals the earlier, pinned first.

        Args:
            score: Of each row, ``[R]``.
            counts: How many rows of each text, ``[S]``.
        """
        rank = self.rank(score.masked_fill(self.pinned, float("inf")))
        return (rank < counts[self.text]) | self.pinned

    def rank(self, score: Tensor) -> Tensor:
        """Place of each row among those of its text, the best at 0; of equals the earlier first.

        Args:
            score: Of each row, ``[R]``.
        """
        order = score.argsort(descending=True, stable=True)
        order = order[self.text[order].argsort(stable=True)]
        # In this order each text has the places that it has in its own.
        return torch.empty_like(order).index_copy(0, order, place_in_text(self.text))


def place_in_text(text: Tensor) -> Tensor:
    """Number of each row among those of its text, ``[R]``.

    Args:
        text: Number of each row's text, ``[R]``, never falling.
    """
    return torch.arange(len(text), device=text.device) - torch.searchsorted(text, text)
