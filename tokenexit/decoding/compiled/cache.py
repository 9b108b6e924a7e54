"""Keys, values and states of the tokens so far, in blocks that sequences share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.compiled import structs
from tokenexit.decoding.compiled.model import CompiledDecoder

BLOCK = 16
"""Places in a block, as in kernels/source/decoder_model.h."""

_FIRST, _LONGEST = 32, 256
"""Places to begin with where nobody knows how many there will be, and where they are very many."""


class CompiledCache:
    """What ``DecoderCache`` is, in the form that kernels read.

    Sequences keep their numbers. Each has a list of blocks; a block holds 16 places of all layers,
    and copies of a sequence share what was there when they were made.

    Args:
        model: Whose layers fill it.
        rows: Sequences, ``R``.
        steps: Places that will be needed at most, if known.
    """

    def __init__(self, model: CompiledDecoder, rows: int, steps: int | None) -> None:
        self._model, self._room = model, model.room
        self._layers, self._hidden = model.struct.layers, model.struct.hidden
        reach = -(-min(steps or _FIRST, _LONGEST) // BLOCK)
        self.table = np.full((rows, reach), -1, dtype=np.int32)
        self.filled = np.zeros((rows, self._layers), dtype=np.int32)
        self._users = np.zeros(0, dtype=np.int32)
        self._stack = np.zeros(0, dtype=np.int32)
        self._arrays: dict[str, Tensor] = {}
        self._shared = False  # whether sequences have been copied
        self.struct = structs.Cache(rows=rows)
        self.batch: int | None = None
        """Address of the batch that this is part of."""
        self._grow(rows * reach)
        self._point()

    @property
    def length(self) -> int:
        """Places in use; the same for all sequences."""
        return int(self.struct.length)

    def prepare(self, count: int, steps: int = 1) -> None:
        """Have room for ``steps`` more places of ``count`` sequences."""
        last = (self.length + steps - 1) // BLOCK
        if last >= self.table.shape[1]:
            wider = np.full((len(self.table), max(last + 1, 2 * self.table.shape[1])), -1, np.int32)
            wider[:, : self.table.shape[1]] = self.table
            self.table = wider
            self._point()
        # Each sequence needs a block for every border it crosses, and where it has been copied
        # one of its own for what is there.
        here = self.length // BLOCK
        wanted = count * (last - here + (self.length % BLOCK == 0))
        if self._shared:
            wanted += count
        self.reserve(wanted)

    def reserve(self, blocks: int) -> None:
        """Have so many unused blocks."""
        missing = blocks - int(self.struct.unused)
        if missing > 0:
            self._grow(int(self.struct.blocks) + max(missing, int(self.struct.blocks)))
            self._point()

    def shrink(self, length: int) -> None:
        """Forget the places from ``length`` on."""
        rows = np.arange(len(self.table), dtype=np.int32)
        self.drop(rows, -(-length // BLOCK))
        self.struct.length = length
        np.minimum(self.filled, length, out=self.filled)

    def drop(self, rows: NDArray[np.int32], first: int = 0) -> None:
        """Give back the blocks of sequences, from the ``first``."""
        self._model.kernels.decode_drop(self.batch, rows.ctypes.data, len(rows), first)

    def give_back(self) -> None:
        """Leave the large arrays to the next."""
        for use, array in self._arrays.items():
            self._room.give(use, array)
        self._arrays = {}

    def _grow(self, blocks: int) -> None:
        """Storage for more blocks; what there was is kept."""
        old = int(self.struct.blocks)
        size = self._model.block_bytes
        shapes = {
            "keys": (self._layers, size),
            "values": (self._layers, size),
            "states": (1, 4 * BLOCK * self._hidden),
        }
        for use, (lines, width) in shapes.items():
            wider = self._room.take(use, lines * blocks * width)
            if old:
                before = self._arrays[use][: lines * old * width].view(lines, old * width)
                now = wider[: lines * blocks * width].view(lines, blocks * width)
                now[:, : old * width] = before
            self._arrays[use] = wider
        unused = int(self.struct.unused)
        users, stack = np.zeros(blocks, np.int32), np.zeros(blocks, np.int32)
        users[:old], stack[:unused] = self._users, self._stack[:unused]
        # The lowest come off the stack first.
        stack[unused : unused + blocks - old] = np.arange(blocks - 1, old - 1, -1)
        self._users, self._stack = users, stack
        self.struct.blocks, self.struct.unused = blocks, unused + blocks - old

    def _point(self) -> None:
        """Tell the kernels where everything lies."""
        width = self.table.shape[1] * BLOCK
        bias = self._model.bias(width)
        self.struct.reach = self.table.shape[1]
        self.struct.rows = len(self.table)
        self.struct.bias = structs.address(bias)
        self.struct.bias_width = 0 if bias is None else bias.shape[1]
        self._held = bias  # kept alive
        for name, array in (
            ("table", self.table),
            ("filled", self.filled),
            ("users", self._users),
            ("stack", self._stack),
        ):
            setattr(self.struct, name, structs.address(array))
        for use, array in self._arrays.items():
            setattr(self.struct, use, array.data_ptr())

    def keep(self, rows: NDArray[np.int32], apart: bool) -> None:
        """Every sequence becomes a copy of another, ``[R']``.

        Args:
            rows: Which.
            apart: Whether each needs its own blocks of what is pending.
        """
        self._shared = True
        if apart:
            self.reserve(len(rows) * (-(-self.length // BLOCK)))
        table = np.empty((len(rows), self.table.shape[1]), np.int32)
        filled = np.empty((len(rows), self._layers), np.int32)
        self._model.kernels.decode_keep(
            self.batch, rows.ctypes.data, len(rows), table.ctypes.data, filled.ctypes.data, apart
        )
        self.table, self.filled = table, filled
        self._point()
