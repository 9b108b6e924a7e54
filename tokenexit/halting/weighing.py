"""Rows that weigh more or less, at work on one batch of the engine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import PackedBatch
from tokenexit.halting.received import Received
from tokenexit.halting.rows import LiveRows
from tokenexit.halting.shown import Shown
from tokenexit.reducers import RowWeights
from tokenexit.reducers.base import OF_ATTENTION
from tokenexit.scorers import RowScorers
from tokenexit.transfer import send


class Weighing:
    """Asks for weights of the active rows, and carries them out; no row is taken out.

    Args:
        weights: Who weighs.
        batch: Packed sentences.
        like: Embedded rows, ``[T, H]``.
        num_layers: Depth of the network.
        scorers: Those of the model, if it has any.

    Raises:
        UserError: Words would be dropped that nothing could label, rows would merge, or there are
            no scorers to read.
    """

    def __init__(
        self,
        weights: RowWeights,
        batch: PackedBatch,
        like: Tensor,
        num_layers: int,
        scorers: RowScorers | None = None,
    ) -> None:
        weights.check()
        self._by = weights
        self._shown = Shown(weights, batch, num_layers, scorers)
        kind = torch.promote_types(like.dtype, torch.float32)
        self._weights = like.new_ones(len(batch.row_word), dtype=kind)
        self.gone_count_nothing = weights.fate == "drop" and not weights.scales
        """Whether rows without weight have no part in the mean over a word."""

    def before(self, layer: int, rows: LiveRows) -> None:
        """Weigh the rows before a layer, from 1, if this is the place."""
        if self._shown.asks(layer, "before") and rows.active.any():
            self._weigh(layer, rows, None)

    def of(self, rows: LiveRows) -> Tensor:
        """Weights of all rows that are there, ``[R]``."""
        return self._weights[self._number(rows.original)]

    def keys(self, rows: LiveRows) -> Tensor | None:
        """Weights inside the softmax of the rows that are read, ``[M]``; None where all are 1."""
        if self._by.scales or self._by.fate == "copy":
            return None
        return rows.of_read(self.of(rows))

    def listen(self, rows: LiveRows, states: Tensor, asking: Tensor | None) -> Received:
        """What is told the attention of a layer, that of rows without weight left out.

        Args:
            rows: All that are there.
            states: Those that are read, ``[M, H]``.
            asking: Which of them ask.
        """
        voices = None if self._by.scales else rows.of_read(self.of(rows))
        return Received(states, asking, self._by.reads == "first", voices)

    def listens(self, layer: int) -> bool:
        """Whether the attention of a layer is read."""
        return self._by.reads in OF_ATTENTION and self._shown.asks(layer, "within")

    def combine(
        self,
        backbone: Backbone,
        layer: int,
        rows: LiveRows,
        active: Tensor,
        read: Tensor,
        received: Received | None,
    ) -> Tensor:
        """The rest of a layer after its attention, ``[A, H]``.

        Args:
            backbone: The network.
            layer: From 1.
            rows: All that are there.
            active: States of the active ones, ``[A, H]``.
            read: What they read, likewise.
            received: From ``listen``, if the layer's attention is read.
        """
        if self._shown.asks(layer, "within"):
            self._weigh(layer, rows, received)
        weights = rows.of_asking(self.of(rows)).to(active.dtype)[:, None]
        return combined(backbone, self._by, layer - 1, active, read, weights)

    def _weigh(self, layer: int, rows: LiveRows, received: Received | None) -> None:
        shown, state = self._shown.rows(layer, rows, received)
        number = self._number(rows.original[rows.active])
        found, self._shown.state = self._by.weigh(shown, self._weights[number], state)
        found = found.to(self._weights.dtype)
        if not self._by.scales:
            found = found.masked_fill(shown.pinned, 1.0)
        self._weights = self._weights.index_copy(0, number, found)

    def _number(self, original: np.ndarray) -> Tensor:
        return send([torch.from_numpy(original)], self._weights.device)[0]


def combined(
    backbone: Backbone, by: RowWeights, index: int, rows: Tensor, read: Tensor, weights: Tensor
) -> Tensor:
    """``Backbone.combine`` with weights on the rows.

    Args:
        backbone: The network.
        by: Says what weights are for.
        index: Layer, from 0.
        rows: States that entered it, ``[A, H]``.
        read: What the attention read for them, likewise.
        weights: ``[A, 1]``.
    """
    if by.scales:
        between = backbone.after_attention(index, rows, read)
        return backbone.feed_forward(index, between * weights)
    new = backbone.combine(index, rows, read)
    return new if by.fate == "drop" else weights * new + (1 - weights) * rows
