"""How long something takes, and which of several things is the fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tokenexit.extras import require_libraries

LEAST, MOST = 5, 15
"""Passes over the texts in which contestants are timed."""
CHANCE = 0.05
"""Of as many passes for the faster one, or more, if neither were."""


class Stopwatch(Protocol):
    """Does something and says how many seconds it took."""

    def __call__(self, work: Callable[[], Any], device: torch.device, /) -> tuple[float, Any]:
        """Seconds, and what ``work`` gave."""
        ...


def stopwatch(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """The real one; what was started on a device is waited for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    found = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, found


@dataclass(frozen=True)
class Passes:
    """Seconds of several contestants in the same passes.

    Attributes:
        seconds: Of each in each pass, ``[C, P]``.
        texts: Texts of a pass.
    """

    seconds: NDArray[np.float64]
    texts: int

    def ms(self, which: int, percentile: float = 50) -> float:
        """Milliseconds a text."""
        return 1000 * float(np.percentile(self.seconds[which], percentile)) / self.texts

    def faster(self, which: int, than: int) -> bool:
        """Whether one is faster than another beyond the noise: in so many passes (a sign test)."""
        require_libraries("scipy")
        from scipy.special import bdtr

        won = int((self.seconds[which] < self.seconds[than]).sum())
        count = self.seconds.shape[1]
        return 1.0 - float(bdtr(won - 1, count, 0.5)) <= CHANCE


def interleaved(
    contestants: Sequence[Sequence[Callable[[], Any]]],
    device: torch.device,
    texts: int,
    budget: float,
    watch: Stopwatch = stopwatch,
) -> Passes:
    """Time contestants batch by batch in turns, so that whatever else a machine does hits all.

    Args:
        contestants: For each its work on every batch.
        device: Where it runs.
        texts: Texts of all batches.
        budget: Seconds to stop after, once there are ``LEAST`` passes; one before them does not
            count.
        watch: Measures.
    """
    passes: list[list[float]] = []
    spent = 0.0
    while len(passes) <= LEAST or (spent < budget and len(passes) <= MOST):
        total = [0.0] * len(contestants)
        for place in range(len(contestants[0])):
            for turn in range(len(contestants)):  # who goes first changes: caches favour others
                which = (turn + place + len(passes)) % len(contestants)
                taken, _ = watch(contestants[which][place], device)
                total[which] += taken
        passes.append(total)
        spent += sum(total)
    return Passes(np.array(passes[1:]).T, texts)
