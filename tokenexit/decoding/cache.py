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
        self._heads = decoder.num_heads
        self._capacity = _FIRST
        self._keys = [
            like.new_zeros(rows, _FIRST, decoder.inner_size) for _ in range(decoder.num_layers)
        ]
        self._values = [torch.zeros_like(keys) for keys in self._keys]
        self._states = like.new_zeros(rows, _FIRST, decoder.hidden_size)
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
        self._keys = [torch.cat([keys, torch.zeros_like(keys)], dim=1) for keys in self._keys]
        self._values = [torch.cat([v, torch.zeros_like(v)], dim=1) for v in self._values]
        self._states = torch.cat([self._states, torch.zeros_like(self._states)], dim=1)
        self._capacity *= 2

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

    def write(self, index: int, where: Tensor | slice, keys: Tensor, values: Tensor) -> None:
        """Store keys and values of a layer; ``where`` is ``flat``, or one place of all rows."""
        self._put(self._keys[index], where, keys)
        self._put(self._values[index], where, values)

    def read(self, index: int, span: slice) -> tuple[Tensor, Tensor]:
        """Keys and values of a run of sequences, all places in use: views ``[R', h, M, d]``."""
        keys = self._keys[index][span, : self.length]
        values = self._values[index][span, : self.length]
        shape = (self._heads, -1)
        return keys.unflatten(-1, shape).transpose(1, 2), values.unflatten(-1, shape).transpose(
            1, 2
        )

    def _put(self, store: Tensor, where: Tensor | slice, values: Tensor) -> None:
        if isinstance(where, slice):
            store[:, where] = values.unsqueeze(1)
        else:
            store.flatten(0, 1).index_copy_(0, where, values)

    # --- sequences -------------------------------------------------------------------------

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder sequences, ``[R']``."""
        self.filled = self.filled[:, rows.cpu().numpy()]
        if len(rows) == len(self):
            for store in (*self._keys, *self._values, self._states):
                store[:, : self.length] = store[:, : self.length].index_select(0, rows)
            return
        self._keys = [keys.index_select(0, rows) for keys in self._keys]
        self._values = [values.index_select(0, rows) for values in self._values]
        self._states = self._states.index_select(0, rows)
