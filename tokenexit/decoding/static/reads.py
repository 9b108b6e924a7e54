"""What the host learns of the device: numbers it waits for, and numbers that arrive later."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Reads:
    """Copies whole numbers to the host, and counts how often it waits for them.

    Args:
        device: Where they come from.
    """

    def __init__(self, device: torch.device) -> None:
        self.waited = 0
        """How often the host has waited."""
        self._on_gpu = device.type == "cuda"
        self._pinned: dict[torch.Size, Tensor] = {}
        self._sent: dict[int, tuple[Tensor, Any]] = {}

    def fetch(self, numbers: Tensor) -> NDArray[np.int64]:
        """Numbers as they are once the device is done."""
        self.waited += 1
        if not self._on_gpu:
            return numbers.numpy().copy()
        shape = numbers.shape
        if shape not in self._pinned:
            self._pinned[shape] = torch.empty(shape, dtype=torch.long, pin_memory=True)
        here = self._pinned[shape].copy_(numbers, non_blocking=True)
        torch.cuda.current_stream(numbers.device).synchronize()
        return here.numpy().copy()

    def send(self, key: int, number: Tensor) -> None:
        """Start copying one number, ``[1]``, that is asked for later."""
        if not self._on_gpu:
            self._sent[key] = number.clone(), None
            return
        here = torch.empty(1, dtype=torch.long, pin_memory=True)
        here.copy_(number, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._sent[key] = here, event

    def arrived(self, key: int) -> int | None:
        """A number that was sent, once; None if none was."""
        if key not in self._sent:
            return None
        here, event = self._sent.pop(key)
        if event is not None:
            event.synchronize()
        return int(here)
