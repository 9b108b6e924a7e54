"""Large arrays that one decoding leaves to the next: fresh memory costs more than a step."""

from __future__ import annotations

from threading import Lock

import torch
from torch import Tensor

_MOST = 1 << 28
"""Bytes that are kept between calls, for each use."""


class Room:
    """Lends arrays of bytes by the name of their use; one of each is kept while nobody has it."""

    def __init__(self) -> None:
        self._free: dict[str, Tensor] = {}
        self._lock = Lock()

    def take(self, use: str, size: int) -> Tensor:
        """An array of ``size`` bytes or more, with whatever was in it."""
        with self._lock:
            found = self._free.pop(use, None)
        if found is not None and found.numel() >= size:
            return found
        with torch.inference_mode(False):
            return torch.empty(size, dtype=torch.uint8)

    def give(self, use: str, array: Tensor) -> None:
        """Give back what was taken."""
        with self._lock:
            held = self._free.get(use)
            if array.nbytes <= _MOST and (held is None or held.numel() < array.numel()):
                self._free[use] = array
