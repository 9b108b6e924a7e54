"""The source side of compiled decoding: encoder states without padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.cache import BLOCK
from tokenexit.decoding.compiled.model import CompiledDecoder


class CompiledSource:
    """Encoder states of a batch, and what the layers read of them once they have been entered.

    Args:
        model: The decoder that reads.
        memory: Encoder states, ``[B, S, H]``.
        mask: 1 for real tokens, ``[B, S]``, or None when all are.
    """

    def __init__(self, model: CompiledDecoder, memory: Tensor, mask: Tensor | None) -> None:
        size, extent, width = memory.shape
        real = None if mask is None or bool(mask.all()) else mask.bool()
        rows = memory.reshape(-1, width) if real is None else memory[real]
        self._memory = rows.float().contiguous()
        lengths = np.full(size, extent) if real is None else real.sum(dim=1).numpy()
        self.lengths: NDArray[np.int64] = lengths.astype(np.int64)
        self._start = _from_zero(self.lengths)
        self._first = _from_zero(-(-self.lengths // BLOCK))
        blocks = int(self._first[-1])
        self._number = np.arange(max(blocks, 1), dtype=np.int32)
        self._made = np.zeros((model.struct.layers, size), dtype=np.uint8)
        self._room = model.room
        wanted = model.struct.layers * blocks * model.block_bytes
        self._arrays = {use: model.room.take(use, wanted) for use in ("cross_keys", "cross_values")}
        self.struct = structs.Source(
            count=size,
            tokens=len(self._memory),
            blocks=blocks,
            longest=int(self.lengths.max(initial=0)),
            memory=self._memory.data_ptr(),
            start=structs.address(self._start),
            first=structs.address(self._first),
            number=structs.address(self._number),
            keys=self._arrays["cross_keys"].data_ptr(),
            values=self._arrays["cross_values"].data_ptr(),
            made=structs.address(self._made),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def give_back(self) -> None:
        """Leave the large arrays to the next."""
        for use, array in self._arrays.items():
            self._room.give(use, array)
        self._arrays = {}


def _from_zero(lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    """Where each begins, and at last where all end, ``[B + 1]``."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
