"""A decoder planned on the device: what is kept between generations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.static.network import network_of
from tokenexit.decoding.static.room import Room
from tokenexit.decoding.static.rooms import Rooms
from tokenexit.static.graphs import Graphs, capturer

MOST_GRAPHS = 256
"""Captures that are kept: each piece of memory has a few dozen, for every bucket of lengths."""


class StaticDecoder:
    """A network, memory that its generations use in turn, and captures of its steps.

    Args:
        decoder: The network.
        exits: Where rows may leave, and what they are scored with there.
        fetched: Whether the host asks after each exit whether anybody is left. Otherwise all
            layers run for all, and nobody waits within a step.
        behind: How many steps late greedy search learns that all texts have ended.
        graphs: Captures segments; CUDA graphs on a GPU when None.
    """

    def __init__(
        self,
        decoder: Decoder,
        exits: Exits,
        *,
        fetched: bool = True,
        behind: int = 1,
        graphs: Graphs | None = None,
    ) -> None:
        self.network = network_of(decoder, exits)
        self.fetched, self.behind = fetched, behind
        if graphs is None:
            graphs = Graphs(capturer(self.network.device), MOST_GRAPHS)
        self.graphs = graphs
        self.rooms = Rooms(self.network, self._forget)
        self._lock = threading.Lock()

    def run(self, room: Room, key: Hashable, work: Callable[[], None]) -> None:
        """Do work on some memory, by replaying a capture where there is one.

        Args:
            room: The memory.
            key: Says what the work is.
            work: Does it.
        """
        with self._lock:
            self.graphs.run((room.number, key), work)

    def _forget(self, number: int) -> None:
        """Drop the captures of memory that is gone."""
        with self._lock:
            self.graphs.forget(lambda key: key[0] == number)
