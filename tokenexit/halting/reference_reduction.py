"""A reducer asked about one text at a time, for the plain reference."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.reference_rows import DenseRows
from tokenexit.reducers import Reducer
from tokenexit.reducers.base import OF_ATTENTION


class DenseReduction(DenseRows):
    """Asks a reducer about padded texts.

    Args:
        backbone: As of ``DenseRows``.
        reducer: Who decides.
        ids: As there.
        lengths: As there.
        scorers: As there.
        depths: Of each row, ``[B, M]``, if they were given.
    """

    def __init__(
        self, backbone: Backbone, reducer: Reducer, *rows: Any, depths: Tensor | None
    ) -> None:
        super().__init__(backbone, reducer, *rows)
        self.reducer, self._depths = reducer, depths
        self.merged = torch.zeros_like(self._ids, dtype=torch.bool)
        """Which rows stand for others, ``[B, M]`` bool."""
        self._mass = [torch.zeros((), device=self._ids.device) for _ in self._lengths]
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
        if self._unscored(layer):
            return kept
        for text, length in enumerate(self._lengths):
            computed = kept[text] & ~halted[text]
            asking = (computed & ~self.merged[text]).nonzero().squeeze(-1)
            if len(asking) == 0 or not self.reducer.asked(layer, depth, length):
                continue
            seen = {}
            if self.reducer.reads in OF_ATTENTION:
                keys, queries = (mask.nonzero().squeeze(-1) for mask in (read[text], computed))
                weights = self._weights(layer - 1, hidden[text], queries, keys).mean(dim=0)
                received = hidden.new_zeros(hidden.shape[1]).index_copy(0, keys, weights.sum(0))
                of_first = torch.zeros_like(received)
                of_first = of_first.index_copy(0, keys, weights[queries == 0].sum(0))[asking]
                own = (weights * (queries[:, None] == keys)).sum(1)
                own = own[(queries[:, None] == asking).any(1)]
                seen = {"received": received[asking], "own": own}
                if self.reducer.reads == "first":
                    seen = {"by_first": of_first}
            if self._depths is not None:
                seen["depth"] = self._depths[text, asking]
            rows = self._shown(layer, text, hidden[text], asking, **seen)
            stay, self._states[text] = self.reducer.keep(rows, self._state(text, asking))
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
        return self._scores(index, states, asking, keys).softmax(dim=-1)
