"""Weighed rows, one text at a time and without tricks, for the plain reference."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import Index
from tokenexit.policies import State, index_state
from tokenexit.reducers import Rows, RowWeights
from tokenexit.scorers import RowScorers


class DenseWeighing:
    """Computes layers of padded texts whose rows are weighed.

    Args:
        backbone: The network.
        weights: Who weighs.
        ids: Vocabulary ids, ``[B, M]``.
        lengths: Tokens of each text, ``[B]``.
        scorers: Those of the model, if it has any.
    """

    def __init__(
        self,
        backbone: Backbone,
        weights: RowWeights,
        ids: Tensor,
        lengths: Index,
        scorers: RowScorers | None = None,
    ) -> None:
        self._scorers = scorers if weights.reads == "scores" else None
        self._backbone, self._by = backbone, weights
        self._ids, self._lengths = ids, lengths.tolist()
        self._states: list[State] = [weights.init(n, ids.device) for n in self._lengths]
        self._seen = [torch.arange(n, device=ids.device) for n in self._lengths]
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
        texts = []
        for text, length in enumerate(self._lengths):
            asking = (~halted[text, :length]).nonzero().squeeze(-1)
            new = hidden[text]
            if len(asking):
                keys = read[text].nonzero().squeeze(-1)
                new = new.index_copy(0, asking, self._text(layer, text, new, asking, keys))
            texts.append(new)
        return torch.stack(texts)

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
        backbone = self._backbone
        queries = backbone.queries(index, hidden[asking], asking)
        read, _ = backbone.keys_values(index, hidden[keys], keys)
        heads = backbone.heads(index)
        queries, read = (
            rows.view(len(rows), heads, -1).transpose(0, 1) for rows in (queries, read)
        )
        scores = queries @ read.transpose(1, 2) * backbone.scaling(index)
        bias = backbone.bias(index, queries[None], read[None], asking[None], keys[None])
        scores = scores if bias is None else scores + bias[0]
        if not self._by.scales and self._by.fate != "copy":
            scores = scores + self.weights[text, keys].log()
        return scores.softmax(dim=-1)

    def _weigh(self, layer: int, text: int, hidden: Tensor, asking: Tensor, **seen: Tensor) -> None:
        by, length = self._by, self._lengths[text]
        if not by.asked(layer, self._backbone.num_layers, length):
            return
        score = bar = None
        if self._scorers is not None:
            if layer not in self._scorers.layers:
                return
            score, bar = self._scorers(layer, hidden[asking])
        rows = Rows(
            layer=layer,
            num_layers=self._backbone.num_layers,
            text=torch.zeros_like(asking),
            lengths=torch.tensor([length], device=asking.device),
            position=asking,
            item_id=self._ids[text, asking],
            pinned=asking == 0,
            hidden=hidden[asking],
            score=score,
            bar=bar,
            **seen,
        )
        state = index_state(self._states[text], torch.searchsorted(self._seen[text], asking))
        found, self._states[text] = by.weigh(rows, self.weights[text, asking], state)
        self._seen[text] = asking
        if not by.scales:
            found = found.masked_fill(rows.pinned, 1.0)
        weights = self.weights.clone()
        weights[text, asking] = found.to(weights.dtype)
        self.weights = weights
