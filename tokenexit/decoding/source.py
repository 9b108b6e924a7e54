"""The source side of decoding: encoder states, and what each decoder layer reads from them.

Keys and values of a layer are computed once, when the first row reaches it, and kept once a
source: rows that share a source (beams, samples) ask together, so that nothing is copied for
them and reordering beams moves nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.attention import attend

Index = NDArray[np.int64]


class Source:
    """Encoder states of a batch, and the cross-attention of any rows to them.

    Args:
        decoder: The decoder that reads.
        memory: Encoder states, ``[B, S, H]``.
        mask: 1 for real tokens, ``[B, S]``, or None when all are.
    """

    def __init__(self, decoder: Decoder, memory: Tensor, mask: Tensor | None) -> None:
        self._decoder = decoder
        self.memory = memory
        everybody = mask is None or bool(mask.all())
        self.mask = None if everybody else hidden(mask, memory)
        lengths = torch.full((len(memory),), memory.shape[1]) if everybody else mask.sum(dim=1)  # type: ignore[union-attr]
        self.lengths: Index = lengths.cpu().numpy().astype(np.int64)
        self._read: list[tuple[Tensor, Tensor] | None] = [None] * decoder.num_layers
        self.projected = [0] * decoder.num_layers
        """Source tokens whose keys and values each layer has computed."""

    def __len__(self) -> int:
        return len(self.memory)

    def keep(self, rows: Tensor) -> None:
        """Keep some sources only, or repeat them, ``[B']``."""
        self.memory = self.memory[rows]
        self.mask = None if self.mask is None else self.mask[rows]
        self.lengths = self.lengths[rows.cpu().numpy()]
        self._read = [None if kv is None else (kv[0][rows], kv[1][rows]) for kv in self._read]

    def attend(self, index: int, query: Tensor, origin: Index, lanes: int) -> Tensor:
        """Cross-attention of rows that lie source after source.

        Args:
            index: Layer, from 0.
            query: ``[N, I]``.
            origin: Source of each row, ``[N]``, ascending.
            lanes: Rows of each source, if all sources have as many and none is missing
                (``N = B * lanes``); otherwise 0.

        Returns:
            ``[N, I]``.
        """
        keys, values = self._keys_values(index)
        if lanes:
            asked = query.view(len(self), lanes, self._decoder.num_heads, -1).transpose(1, 2)
            read = attend(self._decoder, asked, keys, values, self.mask)
            return read.transpose(1, 2).reshape(query.shape)
        # Rows are missing: a lane each within its source, and unused lanes ask in vain. Keys and
        # values are never gathered, which costs more than the questions too many.
        first = np.searchsorted(origin, origin)
        lane = np.arange(len(origin)) - first
        low, high = int(origin[0]), int(origin[-1]) + 1
        width = int(lane.max()) + 1
        place = torch.from_numpy((origin - low) * width + lane).to(query.device)
        asked = query.new_zeros((high - low) * width, query.shape[1]).index_copy_(0, place, query)
        asked = asked.view(high - low, width, self._decoder.num_heads, -1).transpose(1, 2)
        mask = None if self.mask is None else self.mask[low:high]
        read = attend(self._decoder, asked, keys[low:high], values[low:high], mask)
        return read.transpose(1, 2).reshape(-1, query.shape[1])[place]

    def _keys_values(self, index: int) -> tuple[Tensor, Tensor]:
        found = self._read[index]
        if found is None:
            found = self._made(index, self.memory)
            self._read[index] = found
            self.projected[index] += int(self.lengths.sum())
        return found

    def _made(self, index: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of states, ``[B, S, H] -> 2 x [B, h, S, d]``."""
        if not torch.is_autocast_enabled(memory.device.type):
            memory = memory.to(self._decoder.model.dtype)  # what the layers multiply with
        keys, values = self._decoder.cross_keys_values(index, memory)
        return self._heads(keys), self._heads(values)

    def _heads(self, rows: Tensor) -> Tensor:
        # Laid out head by head once, because every step reads them.
        return rows.unflatten(-1, (self._decoder.num_heads, -1)).transpose(1, 2).contiguous()


def hidden(mask: Tensor | None, like: Tensor) -> Tensor:
    """What is added to the scores of padding, ``[B, 1, 1, S]``; made once, read in every layer."""
    assert mask is not None
    scores = torch.zeros(mask.shape, dtype=like.dtype, device=like.device)
    return scores.masked_fill_(~mask.bool(), float("-inf"))[:, None, None, :]
