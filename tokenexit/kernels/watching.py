"""Numbers in memory that should stay what they are, looked at by kernels in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor

from tokenexit.kernels.library import Library
from tokenexit.kernels.structs import LONG, POINTER, fields

_ALL_AFTER = 8192
"""Rows computed until everything has been looked at."""


class _Watched(ctypes.Structure):
    """As Watched in source/watched.h."""

    _fields_ = (
        ("numbers", POINTER),
        *fields(LONG, "rows width"),
        *fields(POINTER, "seen column"),
    )


class WatchedNumbers:
    """Tensors of which every look reads one row each, and the rest in turn.

    Args:
        library: Who looks.
        tensors: ``[rows, width]`` each, contiguous, of 32 bits, on the CPU; they stay there.
    """

    def __init__(self, library: Library, tensors: Sequence[Tensor]) -> None:
        self._library = library
        self._total = sum(map(len, tensors))
        self._notes = [
            (torch.empty(len(each), dtype=torch.int64), torch.empty(len(each), dtype=torch.int32))
            for each in tensors
        ]
        self._tensors = tensors
        self._structs = (_Watched * len(tensors))(
            *(
                _Watched(each.data_ptr(), *each.shape, seen.data_ptr(), column.data_ptr())
                for each, (seen, column) in zip(tensors, self._notes, strict=True)
            )
        )
        self._where, self._count = ctypes.addressof(self._structs), len(tensors)
        self._turn = count()
        self._place = 0
        library.watch_begin(self._where, self._count)

    def same(self, rows: int = 0) -> bool:
        """Whether nothing has changed, as far as it is looked at.

        Args:
            rows: How many will be computed before the next question; the more, the more is read.
        """
        if not self._count:
            return True
        more = min(-(-rows * self._total // _ALL_AFTER), self._total)
        place, self._place = self._place, (self._place + more) % self._total
        found: int = self._library.watch_look(
            self._where, self._count, next(self._turn), place, more
        )
        return found != 0
