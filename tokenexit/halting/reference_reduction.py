"""A reducer asked about one text at a time, for the plain reference."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import Index
from tokenexit.policies import State, index_state
from tokenexit.reducers import Reducer, Rows
from tokenexit.scorers import RowScorers


class DenseReduction:
    """Asks a reducer about padded texts.

    Args:
        backbone: The network.
        reducer: Who decides.
        ids: Vocabulary ids, ``[B, M]``.
        lengths: Tokens of each text, ``[B]``.
        scorers: Those of the model, if it has any.
    """

    def __init__(
        self,
        backbone: Backbone,
        reducer: Reducer,
        ids: Tensor,
        lengths: Index,
        scorers: RowScorers | None = None,
    ) -> None:
        self.reducer = reducer
        self._scorers = scorers if reducer.reads == "scores" else None
        self._backbone, self._ids, self._lengths = backbone, ids, lengths.tolist()
        self._states: list[State] = [reducer.init(n, ids.device) for n in self._lengths]
        self._seen = [torch.arange(n, device=ids.device) for n in self._lengths]

    def keep(
        self, layer: int, hidden: Tensor, kept: Tensor, halted: Tensor, read: Tensor
    ) -> Tensor:
        """Which rows are kept from now on, ``[B, M]`` bool.

        Args:
            layer: From 1.
            hidden: States that enter it, ``[B, M, H]``.
            kept: Which rows were kept so far, ``[B, M]`` bool.
            halted: Rows of words that have halted, of which the reducer is not asked.
            read: Rows that the layer reads.
        """
        kept = kept.clone()
        depth = self._backbone.num_layers
        if self._scorers is not None and layer not in self._scorers.layers:
            return kept
        for text, length in enumerate(self._lengths):
            asking = (kept[text] & ~halted[text]).nonzero().squeeze(-1)
            if len(asking) == 0 or not self.reducer.asked(layer, depth, length):
                continue
            received = own = score = bar = None
            if self._scorers is not None:
                score, bar = self._scorers(layer, hidden[text, asking])
            if self.reducer.reads == "attention":
                keys = read[text].nonzero().squeeze(-1)
                weights = self._weights(layer - 1, hidden[text], asking, keys)
                received = hidden.new_zeros(hidden.shape[1]).index_copy(0, keys, weights.sum(0))
                received, same = received[asking], asking[:, None] == keys
                own = (weights * same).sum(1)
            rows = Rows(
                layer=layer,
                num_layers=depth,
                text=torch.zeros_like(asking),
                lengths=torch.tensor([length], device=asking.device),
                position=asking,
                item_id=self._ids[text, asking],
                pinned=asking == 0,
                hidden=hidden[text, asking],
                received=received,
                own=own,
                score=score,
                bar=bar,
            )
            state = index_state(self._states[text], torch.searchsorted(self._seen[text], asking))
            stay, self._states[text] = self.reducer.keep(rows, state)
            self._seen[text] = asking
            kept[text, asking] = stay | rows.pinned
        return kept

    def _weights(self, index: int, states: Tensor, asking: Tensor, keys: Tensor) -> Tensor:
        """Attention of one text, mean over heads, ``[A, M]``."""
        backbone = self._backbone
        queries = backbone.queries(index, states[asking], asking)
        read, _ = backbone.keys_values(index, states[keys], keys)
        queries, read = (
            rows.view(len(rows), backbone.num_heads, -1).transpose(0, 1) for rows in (queries, read)
        )
        scores = queries @ read.transpose(1, 2) * backbone.scaling(index)
        places = asking[None], keys[None]
        bias = backbone.bias(index, queries[None], read[None], *places)
        return (scores if bias is None else scores + bias[0]).softmax(dim=-1).mean(dim=0)
