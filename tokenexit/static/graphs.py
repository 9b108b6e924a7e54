"""Captured segments, one a shape: replayed without Python or a launch of single kernels."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch

logger = logging.getLogger(__name__)

MOST_GRAPHS = 96
"""Captures that are kept. They share their memory but for a few megabytes each."""

Work = Callable[[], None]


class Captured(Protocol):
    """Work that was captured."""

    def replay(self) -> None:
        """Do it again on the same memory."""
        ...


class Graphs:
    """Runs work, and captures what comes up again.

    The first time work runs as it is, which makes whatever libraries make once; the second time
    it is captured. What comes up once is never captured. The oldest capture gives way.

    Args:
        capture: Captures work without doing it; None where there are no graphs, as on a CPU.
        most: How many captures are kept.
    """

    def __init__(self, capture: Callable[[Work], Captured] | None, most: int = MOST_GRAPHS) -> None:
        self._capture, self._most = capture, most
        self._kept: OrderedDict[Hashable, Captured | None] = OrderedDict()

    def __len__(self) -> int:
        return sum(graph is not None for graph in self._kept.values())

    @property
    def captures(self) -> bool:
        """Whether anything is captured, or has stopped being so."""
        return self._capture is not None

    def run(self, key: Hashable, work: Work) -> None:
        """Do work, by replaying a capture where there is one.

        Args:
            key: Says what the work is; equal keys stand for equal work on the same memory.
            work: Does it.
        """
        if self._capture is None:
            work()
            return
        if key not in self._kept:
            self._keep(key, None)
            work()
            return
        graph = self._kept[key]
        if graph is None:
            graph = self._captured(self._capture, work)
            if graph is None:
                work()
                return
        self._keep(key, graph)
        graph.replay()

    def forget(self, belongs: Callable[[Any], bool] = lambda key: True) -> None:
        """Drop captures.

        Args:
            belongs: Of which keys; all by default.
        """
        for key in [key for key in self._kept if belongs(key)]:
            del self._kept[key]

    def _keep(self, key: Hashable, graph: Captured | None) -> None:
        self._kept[key] = graph
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def _captured(self, capture: Callable[[Work], Captured], work: Work) -> Captured | None:
        try:
            return capture(work)
        except RuntimeError as error:  # torch.OutOfMemoryError is one, and so are CUDA's own
            self._capture = None
            self.forget()
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            logger.warning(
                'runtime="static" stops capturing graphs and runs without them, slower: %s. '
                "A smaller batch_size, or fewer lengths of texts, needs less memory.",
                reason,
            )
            return None


def capturer(device: torch.device) -> Callable[[Work], Captured] | None:
    """What captures on a device: CUDA graphs of one pool of memory, or nothing elsewhere."""
    if device.type != "cuda":
        return None
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Work) -> Captured:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on using the device meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            work()
        return graph

    return capture
