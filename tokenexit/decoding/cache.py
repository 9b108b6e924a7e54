"""What the tokens so far have left for later ones: keys, values, and the states they left with.

A token that left the decoder at layer e has keys and values up to there. Layers above it need
them only once a later token of its sequence arrives, so each layer remembers how far it is
filled, and each token its last state, from which what is missing can be made.

One sequence, three layers with an exit after each, five tokens that leave after layers 3, 1, 2, 1
and 3; ``=`` has keys and values since its own step, ``+`` got them when a later token came by::

    place           0   1   2   3   4     filled before step 4   tokens that layer computes then
    left after      3   1   2   1   3
    layer 1         =   =   =   =   =              4              place 4
    layer 2         =   +   =   +   =              3              places 3, 4
    layer 3         =   +   +   +   =              1              places 1, 2, 3, 4

So ``filled`` counts from the left without gaps, and ``place - filled + 1`` tokens meet a layer.
With ``pending="lazy"`` the ``+`` are made from the states that the tokens left with; ``eager``
makes them at once; ``parallel`` takes these tokens through the layer together with the newest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoders import Decoder

Index = NDArray[np.int64]

_FIRST = 32  # places to begin with; doubled whenever they are used up


class DecoderCache:
    """Keys and values of self-attention, by sequence and place.

    What is stored has the type it comes in: under autocast, and in families that keep parts of
    their layers in float32 when loaded in half, keys, states and sources differ in it.

    Args:
        decoder: Whose layers fill it.
        rows: Sequences, ``R``.
        device: Where it is kept.
    """

    def __init__(self, decoder: Decoder, rows: int, device: torch.device) -> None:
        self.length = 0
        """Places in use; the same for all sequences."""
        self.device = device
        self._decoder = decoder
        self._rows = rows
        self._capacity = _FIRST
        self._reach = 0
        self._bias: Tensor | None = None
        # Made when something is written to them; the states come last.
        self._stores: list[Tensor | None] = [None] * (decoder.num_layers + 1)
        self._views: list[Any] = [None] * decoder.num_layers
        self.filled: Index = np.zeros((decoder.num_layers, rows), dtype=np.int64)
        """Places filled in each layer for each sequence, ``[L, R]``."""

    def __len__(self) -> int:
        return self._rows

    def grow(self) -> None:
        """Open the next place."""
        self.reserve(self.length + 1)

    def reserve(self, length: int) -> None:
        """Have and read so many places."""
        self.length = length
        if length <= self._capacity:
            return
        before = self._capacity
        while length > self._capacity:
            self._capacity *= 2
        for index, store in enumerate(self._stores):
            if store is not None:
                more = store.new_zeros(len(store), self._capacity - before, store.shape[-1])
                self._replace(index, torch.cat([store, more], dim=1))

    def shrink(self, length: int) -> None:
        """Forget the places from ``length`` on."""
        self.length = length
        np.minimum(self.filled, length, out=self.filled)

    def clear(self, rows: Tensor) -> None:
        """Forget what some sequences have, ``[n]``; not even numbers that are none are left."""
        self.filled[:, rows.cpu().numpy()] = 0
        for store in self._stores:
            if store is not None:
                store[rows] = 0

    # --- places ----------------------------------------------------------------------------

    def flat(self, rows: Index, places: Index) -> Tensor:
        """Where sequences and places lie in the flattened storage, ``[N]``."""
        return torch.from_numpy(rows * self._capacity + places).to(self.device)

    def leave(self, where: Tensor | slice, states: Tensor) -> None:
        """Note the last state of tokens, ``[N, H]``."""
        self.write(-1, where, states)

    def states(self, where: Tensor) -> Tensor:
        """The states that tokens left with, ``[N, H]``."""
        store = self._stores[-1]
        assert store is not None
        return store.flatten(0, 1)[where]

    def write(self, index: int, where: Tensor | slice, keys_values: Tensor) -> None:
        """Store keys beside values of a layer; ``where`` is ``flat``, or one place of all rows."""
        store = self._stores[index]
        if store is None or store.dtype != keys_values.dtype:
            store, keys_values = self._fitting(index, keys_values)
        if isinstance(where, slice):
            store.select(1, where.start).copy_(keys_values)
        else:
            store.flatten(0, 1).index_copy_(0, where, keys_values)

    def read(self, index: int, span: slice | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of all sequences or a run, all places in use: views ``[R', h, M, d]``."""
        keys, values = self._views[index]
        if span is not None:
            keys, values = keys[span], values[span]
        return keys.narrow(2, 0, self.length), values.narrow(2, 0, self.length)

    def bias(self) -> Tensor | None:
        """What the newest place adds to its scores, ``[1, h, 1, M]``; see ``Decoder.bias``."""
        if self._reach != self._capacity:
            places = torch.arange(self._capacity, device=self.device)
            bias = self._decoder.bias(places[-1:], places)
            self._bias = None if bias is None else bias[None]
            self._reach = self._capacity
        if self._bias is None:
            return None
        # Made once for the farthest place, because it depends on distances only.
        return self._bias.narrow(-1, self._capacity - self.length, self.length)

    def _fitting(self, index: int, values: Tensor) -> tuple[Tensor, Tensor]:
        """Storage for values, new or of a wider type than before, and the values in that type."""
        store = self._stores[index]
        if store is None:
            store = values.new_zeros(self._rows, self._capacity, values.shape[-1])
        wider = torch.promote_types(store.dtype, values.dtype)
        store = store.to(wider)
        self._replace(index, store)
        return store, values.to(wider)

    def _replace(self, index: int, store: Tensor) -> None:
        """Put new storage in place, and the views of it that attention reads."""
        self._stores[index] = store
        if index in (-1, len(self._views)):  # the states
            return
        split = store.unflatten(-1, (2, self._decoder.num_heads, -1))
        self._views[index] = split.permute(2, 0, 3, 1, 4).unbind()

    # --- sequences -------------------------------------------------------------------------

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder sequences, ``[R']``."""
        self.filled = self.filled[:, rows.cpu().numpy()]
        same, self._rows = len(rows) == self._rows, len(rows)
        for index, store in enumerate(self._stores):
            if store is None:
                continue
            if same:
                store[:, : self.length] = store[:, : self.length].index_select(0, rows)
            else:
                self._replace(index, store.index_select(0, rows))
