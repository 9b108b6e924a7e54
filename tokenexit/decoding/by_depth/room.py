"""Memory of fixed size for texts by slot, used by one corpus after another."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.by_depth.source import SlotSource
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.static.network import network_of
from tokenexit.static.buckets import bucket, power
from tokenexit.static.graphs import Graphs, capturer

MOST_GRAPHS = 128
"""Captures that are kept of one piece of memory."""

MOST_ROOMS = 2
"""Pieces of memory that are kept while nobody uses them."""


class RoundRows:
    """What a round reads and writes, for so many rows.

    Args:
        count: Rows.
        nobody: The slot that nobody has.
        width: Of the states.
        like: Of their type.
    """

    def __init__(self, count: int, nobody: int, width: int, like: Tensor) -> None:
        self.at = torch.full((count,), nobody, dtype=torch.long, device=like.device)
        self.place = torch.zeros_like(self.at)
        self.hidden = like.new_zeros(count, width)
        self._nobody = nobody

    def fill(self, slots: Tensor, places: Tensor, hidden: Tensor) -> None:
        """Take some rows; the others are nobody's."""
        count = len(slots)
        self.at[:count].copy_(slots)
        self.at[count:].fill_(self._nobody)
        self.place[:count].copy_(places)
        self.place[count:].zero_()
        self.hidden[:count].copy_(hidden)


class SlotRoom:
    """Keys, values and sources by slot, and captures of what is done with them.

    Args:
        decoder: The network.
        exits: What its rows are scored with.
        slots: Texts at a time; one more is nobody's.
        places: Tokens of a text.
        graphs: Captures; CUDA graphs on a GPU when None.
    """

    @torch.inference_mode()
    def __init__(
        self,
        decoder: Decoder,
        exits: Exits,
        slots: int,
        places: int,
        graphs: Graphs | None = None,
    ) -> None:
        network = network_of(decoder, exits)
        self.slots, self.places, self._decoder = slots, places, decoder
        device = network.device
        self.graphs = Graphs(capturer(device), MOST_GRAPHS) if graphs is None else graphs
        shape = slots + 1, places, 2 * decoder.inner_size
        self.stores = [
            torch.zeros(shape, dtype=network.keys, device=device) for _ in range(network.layers)
        ]
        self.numbers = torch.arange(places, device=device)
        self.distances: Tensor | None = None
        """Position bias by distance, ``[h, M]``."""
        self.source: SlotSource | None = None
        self._like = torch.zeros(0, dtype=network.states, device=device)
        self._rows: dict[int, RoundRows] = {}

    @torch.inference_mode()
    def begin(self) -> None:
        """Be as new; weights that the bias is made from may have changed."""
        for store in self.stores:
            store.zero_()
        bias = self._decoder.bias(self.numbers[-1:], self.numbers)
        if bias is not None:
            bias = bias[:, 0].flip(-1).clone()
            self.distances = bias if self.distances is None else self.distances.copy_(bias)

    def take(self, at: Tensor, memory: Tensor, mask: Tensor) -> None:
        """Sources of new texts, ``[n]``; see ``Lanes.admit``."""
        width = power(memory.shape[1])
        wider = self.source is None or width > self.source.memory.shape[1]
        if self.source is None:
            self.source = SlotSource(self._decoder, self.slots + 1, memory)
        if wider:  # memory that captures have seen is gone
            more = width - memory.shape[1]
            memory = torch.nn.functional.pad(memory, (0, 0, 0, more))
            mask = torch.nn.functional.pad(mask, (0, more))
            self.graphs.forget()
        self.source.admit(at, memory, mask)
        for store in self.stores:
            store[at] = 0  # a number that is none, left by others, would spread through a mask

    def rows(self, count: int, width: int) -> RoundRows:
        """Room for a round of so many rows or a few more."""
        size = bucket(count)
        if size not in self._rows:
            self._rows[size] = RoundRows(size, self.slots, width, self._like)
        return self._rows[size]


class SlotRooms:
    """Hands out memory, and takes it back."""

    def __init__(self) -> None:
        self._free: list[SlotRoom] = []
        self._lock = threading.Lock()

    def take(self, decoder: Decoder, exits: Exits, slots: int, places: int) -> SlotRoom:
        """Memory that nobody else uses, as if it were new."""
        with self._lock:
            fitting = [room for room in self._free if (room.slots, room.places) == (slots, places)]
            if fitting:
                self._free.remove(fitting[-1])
        room = fitting[-1] if fitting else SlotRoom(decoder, exits, slots, places)
        room.begin()
        return room

    def give_back(self, room: SlotRoom) -> None:
        """Nobody uses it any longer."""
        with self._lock:
            self._free = [*self._free, room][-MOST_ROOMS:]
