"""A reducer asked about one text at a time, for the plain reference."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import Index
from tokenexit.policies import State, index_state
from tokenexit.reducers import Reducer, Rows
from tokenexit.reducers.base import OF_ATTENTION
from tokenexit.scorers import RowScorers


class DenseReduction:
    """Asks a reducer about padded texts.

    Args:
        backbone: The network.
        reducer: Who decides.
        ids: Vocabulary ids, ``[B, M]``.
        lengths: Tokens of each text, ``[B]``.
        scorers: Those of the model, if it has any.
        depths: Of each row, ``[B, M]``, if they were given.
    """

    def __init__(
        self,
        backbone: Backbone,
        reducer: Reducer,
        ids: Tensor,
        lengths: Index,
        scorers: RowScorers | None = None,
        depths: Tensor | None = None,
    ) -> None:
        self.reducer, self._depths = reducer, depths
        self._scorers = scorers if reducer.reads == "scores" else None
        self._backbone, self._ids, self._lengths = backbone, ids, lengths.tolist()
        self._states: list[State] = [reducer.init(n, ids.device) for n in self._lengths]
        self._seen = [torch.arange(n, device=ids.device) for n in self._lengths]
        self.merged = torch.zeros_like(ids, dtype=torch.bool)
        """Which rows stand for others, ``[B, M]`` bool."""
        self._mass = [torch.zeros((), device=ids.device) for _ in self._lengths]
        self._shares: dict[int, tuple[int, Tensor, Tensor]] = {}

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
        self._shares = {}
        if self._scorers is not None and layer not in self._scorers.layers:
            return kept
        for text, length in enumerate(self._lengths):
            computed = kept[text] & ~halted[text]
            asking = (computed & ~self.merged[text]).nonzero().squeeze(-1)
            if len(asking) == 0 or not self.reducer.asked(layer, depth, length):
                continue
            received = own = by_first = score = bar = None
            if self._scorers is not None:
                score, bar = self._scorers(layer, hidden[text, asking])
            if self.reducer.reads in OF_ATTENTION:
                keys, queries = (mask.nonzero().squeeze(-1) for mask in (read[text], computed))
                weights = self._weights(layer - 1, hidden[text], queries, keys).mean(dim=0)
                received = hidden.new_zeros(hidden.shape[1]).index_copy(0, keys, weights.sum(0))
                of_first = torch.zeros_like(received)
                of_first = of_first.index_copy(0, keys, weights[queries == 0].sum(0))[asking]
                own = (weights * (queries[:, None] == keys)).sum(1)
                received, own = received[asking], own[(queries[:, None] == asking).any(1)]
                if self.reducer.reads == "first":
                    received, own, by_first = None, None, of_first
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
                by_first=by_first,
                score=score,
                bar=bar,
                depth=None if self._depths is None else self._depths[text, asking],
            )
            state = index_state(self._states[text], torch.searchsorted(self._seen[text], asking))
            stay, self._states[text] = self.reducer.keep(rows, state)
            self._seen[text] = asking
            kept[text, asking] = stay = stay | rows.pinned
            if self.reducer.fate == "merge" and not stay.all():
                weights = self.reducer.weigh(rows, self._states[text])[~stay]
                kept[text] &= ~self.merged[text]
                kept[text, self._merge(text, asking[~stay], weights)] = True
        return kept

    def _merge(self, text: int, rows: Tensor, weights: Tensor) -> int:
        """Note which rows of a text become one, and in what shares; the place of that one."""
        before = self.merged[text].nonzero().squeeze(-1)
        rows = torch.cat([before, rows])
        weights = torch.cat([self._mass[text].expand(len(before)), weights.double()])
        heaviest = int(rows[weights == weights.max()].min())
        self._mass[text] = weights.sum()
        self._shares[text] = heaviest, rows, weights / weights.sum()
        self.merged[text] = torch.arange(len(self.merged[text]), device=rows.device) == heaviest
        return heaviest

    def merged_before(self, hidden: Tensor) -> Tensor:
        """States with the means that the last ``keep`` asked for, ``[B, M, H]``."""
        hidden = hidden.clone()
        for text, (place, rows, shares) in self._shares.items():
            hidden[text, place] = shares.to(hidden.dtype) @ hidden[text, rows]
        return hidden

    def merged_within(self, layer: int, hidden: Tensor, read: Tensor, new: Tensor) -> Tensor:
        """States after a layer within which rows became one, ``[B, M, H]``.

        Args:
            layer: From 1.
            hidden: States that entered it, ``[B, M, H]``.
            read: Rows that it reads, ``[B, M]`` bool.
            new: States after it as if nobody had been merged.
        """
        new = new.clone()
        for text, (place, rows, shares) in self._shares.items():
            keys, shares = read[text].nonzero().squeeze(-1), shares.to(hidden.dtype)
            weights = self._weights(layer - 1, hidden[text], rows, keys)
            _, values = self._backbone.keys_values(layer - 1, hidden[text, keys], keys)
            found = weights @ values.unflatten(1, (len(weights), -1)).transpose(0, 1)
            mean = shares @ hidden[text, rows], shares @ found.transpose(0, 1).flatten(1)
            state, attended = (one[None] for one in mean)
            new[text, place] = self._backbone.combine(layer - 1, state, attended)[0]
        return new

    def _weights(self, index: int, states: Tensor, asking: Tensor, keys: Tensor) -> Tensor:
        """Attention of one text, ``[heads, A, M]``."""
        backbone = self._backbone
        queries = backbone.queries(index, states[asking], asking)
        read, _ = backbone.keys_values(index, states[keys], keys)
        heads = backbone.heads(index)
        queries, read = (
            rows.view(len(rows), heads, -1).transpose(0, 1) for rows in (queries, read)
        )
        scores = queries @ read.transpose(1, 2) * backbone.scaling(index)
        places = asking[None], keys[None]
        bias = backbone.bias(index, queries[None], read[None], *places)
        return (scores if bias is None else scores + bias[0]).softmax(dim=-1)
