"""What the tokens so far have left for later ones: keys, values, and the states they left with.

A token that left the decoder at layer e has keys and values up to there. Layers above it need
them only once a later token of its sequence arrives, so each layer remembers how far it is
filled, and each token its last state, from which what is missing can be made.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoders import Decoder

Index = NDArray[np.int64]

_FIRST = 32  # places to begin with; doubled whenever they are used up


class DecoderCache:
    """Keys and values of self-attention, by sequence and place.

    Args:
        decoder: Whose layers fill it.
        rows: Sequences, ``R``.
        like: A tensor of the right type on the right device.
    """

    def __init__(self, decoder: Decoder, rows: int, like: Tensor) -> None:
        self.length = 0
        """Places in use; the same for all sequences."""
        self._decoder = decoder
        self._capacity = _FIRST
        self._reach = 0
        width = 2 * decoder.inner_size
        self._stores = [like.new_zeros(rows, _FIRST, width) for _ in range(decoder.num_layers)]
        self._states = like.new_zeros(rows, _FIRST, decoder.hidden_size)
        self._open()
        self.filled: Index = np.zeros((decoder.num_layers, rows), dtype=np.int64)
        """Places filled in each layer for each sequence, ``[L, R]``."""

    def __len__(self) -> int:
        return self._states.shape[0]

    @property
    def device(self) -> torch.device:
        """Where it is kept."""
        return self._states.device

    @property
    def dtype(self) -> torch.dtype:
        """Of everything in it."""
        return self._states.dtype

    def grow(self) -> None:
        """Open the next place."""
        self.length += 1
        if self.length <= self._capacity:
            return
        self._stores = [torch.cat([s, torch.zeros_like(s)], dim=1) for s in self._stores]
        self._states = torch.cat([self._states, torch.zeros_like(self._states)], dim=1)
        self._capacity *= 2
        self._open()

    def shrink(self, length: int) -> None:
        """Forget the places from ``length`` on."""
        self.length = length
        np.minimum(self.filled, length, out=self.filled)

    # --- places ----------------------------------------------------------------------------

    def flat(self, rows: Index, places: Index) -> Tensor:
        """Where sequences and places lie in the flattened storage, ``[N]``."""
        return torch.from_numpy(rows * self._capacity + places).to(self._states.device)

    def leave(self, where: Tensor | slice, states: Tensor) -> None:
        """Note the last state of tokens, ``[N, H]``."""
        self._put(self._states, where, states)

    def states(self, where: Tensor) -> Tensor:
        """The states that tokens left with, ``[N, H]``."""
        return self._states.flatten(0, 1)[where]

    def write(self, index: int, where: Tensor | slice, keys_values: Tensor) -> None:
        """Store keys beside values of a layer; ``where`` is ``flat``, or one place of all rows."""
        self._put(self._stores[index], where, keys_values)

    def read(self, index: int, span: slice | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of all sequences or a run, all places in use: views ``[R', h, M, d]``."""
        keys, values = self._views[index]
        if span is not None:
            keys, values = keys[span], values[span]
        return keys.narrow(2, 0, self.length), values.narrow(2, 0, self.length)

    def bias(self) -> Tensor | None:
        """What the newest place adds to its scores, ``[1, h, 1, M]``; see ``Decoder.bias``."""
        if self._bias is None:
            return None
        # Made once for the farthest place, because it depends on distances only.
        return self._bias.narrow(-1, self._capacity - self.length, self.length)

    def _open(self) -> None:
        """Views of new storage, and the bias that reaches as far."""
        shape = (2, self._decoder.num_heads, -1)
        self._views = [
            store.unflatten(-1, shape).permute(2, 0, 3, 1, 4).unbind() for store in self._stores
        ]
        if self._reach != self._capacity:
            places = torch.arange(self._capacity, device=self.device)
            bias = self._decoder.bias(places[-1:], places)
            self._bias = None if bias is None else bias[None]
            self._reach = self._capacity

    def _put(self, store: Tensor, where: Tensor | slice, values: Tensor) -> None:
        if isinstance(where, slice):
            store.select(1, where.start).copy_(values)
        else:
            store.flatten(0, 1).index_copy_(0, where, values)

    # --- sequences -------------------------------------------------------------------------

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder sequences, ``[R']``."""
        self.filled = self.filled[:, rows.cpu().numpy()]
        if len(rows) == len(self):
            for store in (*self._stores, self._states):
                store[:, : self.length] = store[:, : self.length].index_select(0, rows)
            return
        self._stores = [store.index_select(0, rows) for store in self._stores]
        self._states = self._states.index_select(0, rows)
        self._open()
