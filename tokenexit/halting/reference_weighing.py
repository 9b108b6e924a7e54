"""Weighed rows, one text at a time and without tricks, for the plain reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.reference_rows import DenseRows, text_by_text
from tokenexit.reducers import RowWeights


class DenseWeighing(DenseRows):
    """Computes layers of padded texts whose rows are weighed; as ``DenseRows``."""

    def __init__(self, backbone: Backbone, weights: RowWeights, ids: Tensor, *rows: Any) -> None:
        super().__init__(backbone, weights, ids, *rows)
        kind = next(backbone.model.parameters()).dtype
        self.weights = torch.ones(ids.shape, dtype=kind, device=ids.device)
        """Of each row at the last layer, ``[B, M]``."""

    def layer(self, layer: int, hidden: Tensor, halted: Tensor, read: Tensor) -> Tensor:
        """States after a layer, ``[B, M, H]``; of rows that have halted they are nothing.

        Args:
            layer: From 1.
            hidden: States that enter it, ``[B, M, H]``.
            halted: Rows of words that have halted, ``[B, M]`` bool.
            read: Rows that the layer may read.
        """
        compute = partial(self._text, layer)
        return text_by_text(hidden, halted, read, self._lengths, compute)

    def _text(self, layer: int, text: int, hidden: Tensor, asking: Tensor, keys: Tensor) -> Tensor:
        by, backbone, index = self._by, self._backbone, layer - 1
        if by.place == "before":
            self._weigh(layer, text, hidden, asking)
        if not by.scales and by.fate != "copy":  # a weight of 0 is a key that is not there
            keys = keys[self.weights[text, keys] > 0]
        shares = self._attention(index, text, hidden, asking, keys)
        if by.place == "within":
            voices = torch.ones_like(asking) if by.scales else self.weights[text, asking]
            mean = shares.mean(dim=0).detach() * voices[:, None]
            received, first = mean.new_zeros(2, len(hidden)).index_copy(
                1, keys, torch.stack([mean.sum(dim=0), mean[asking == 0].sum(dim=0)])
            )[:, asking]
            own = (mean * (asking[:, None] == keys)).sum(dim=1)
            seen = (
                {"by_first": first} if by.reads == "first" else {"received": received, "own": own}
            )
            self._weigh(layer, text, hidden, asking, **seen)
        values = backbone.keys_values(index, hidden[keys], keys)[1]
        values = values.view(len(keys), backbone.heads(index), -1).transpose(0, 1)
        read = (shares @ values).transpose(0, 1).flatten(1)
        weight, before = self.weights[text, asking, None], hidden[asking]
        if by.scales:
            between = backbone.after_attention(index, before, read)
            return backbone.feed_forward(index, weight * between)
        new = backbone.combine(index, before, read)
        return new if by.fate == "drop" else before + weight * (new - before)

    def _attention(
        self, index: int, text: int, hidden: Tensor, asking: Tensor, keys: Tensor
    ) -> Tensor:
        """Weights of one text, ``[heads, A, K]``: a row that weighs w has ``log w`` more."""
        scores = self._scores(index, hidden, asking, keys)
        if not self._by.scales and self._by.fate != "copy":
            scores = scores + self.weights[text, keys].log()
        return scores.softmax(dim=-1)

    def _weigh(self, layer: int, text: int, hidden: Tensor, asking: Tensor, **seen: Tensor) -> None:
        by, depth = self._by, self._backbone.num_layers
        if self._unscored(layer) or not by.asked(layer, depth, self._lengths[text]):
            return
        rows, state = self._shown(layer, text, hidden, asking, **seen), self._state(text, asking)
        found, self._states[text] = by.weigh(rows, self.weights[text, asking], state)
        self._seen[text] = asking
        if not by.scales:
            found = found.masked_fill(rows.pinned, 1.0)
        weights = self.weights.clone()
        weights[text, asking] = found.to(weights.dtype)
        self.weights = weights
