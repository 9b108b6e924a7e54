"""Memory that one generation after another decodes in, so that captures are of use again."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

import torch

from tokenexit.decoding.static.network import Network
from tokenexit.decoding.static.room import Room
from tokenexit.decoding.static.sizes import Sizes

MOST_ROOMS = 6
"""Pieces of memory that are kept while nobody uses them."""


class Rooms:
    """Hands out memory, and takes it back.

    Args:
        network: Whose states are kept.
        forget: Is told the number of memory that is gone: captures end with it.
        most: How many pieces are kept while nobody uses them.
    """

    def __init__(
        self, network: Network, forget: Callable[[int], None], most: int = MOST_ROOMS
    ) -> None:
        self._network, self._forget, self._most = network, forget, most
        self._free: OrderedDict[int, Room] = OrderedDict()
        self._returned: deque[Room] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._free) + len(self._returned)

    def take(self, sizes: Sizes) -> Room:
        """Memory that nobody else uses, as if it were new.

        Args:
            sizes: For what.
        """
        with self._lock:
            self._tidy()
            found = [name for name, room in self._free.items() if room.sizes == sizes]
            room = self._free.pop(found[-1]) if found else self._made(sizes)
        room.begin()
        return room

    def give_back(self, room: Room) -> None:
        """Nobody uses it any longer; may be said wherever garbage is collected."""
        self._returned.append(room)

    def _tidy(self) -> None:
        while self._returned:
            room = self._returned.popleft()
            self._free[room.number] = room
        while len(self._free) > self._most:
            self._drop()

    def _made(self, sizes: Sizes) -> Room:
        try:
            return Room(self._network, sizes)
        except torch.OutOfMemoryError:  # what nobody uses may be in the way
            while self._free:
                self._drop()
            return Room(self._network, sizes)

    def _drop(self) -> None:
        gone, _ = self._free.popitem(last=False)
        self._forget(gone)
