"""Index arithmetic on the device: who asks, who is read, and where each meets the others.

All shapes are known before, no number is looked at by the host, and every operator counts: on a
GPU each takes a few microseconds, a decision so many of them, and a layer has to be worth it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.halting import Halted
from tokenexit.static.buckets import Shape
from tokenexit.static.room import ASKING, READ, WORDS, Room


@dataclass(frozen=True, eq=False)
class Place:
    """Rows, sentence by sentence: in a list, and in a grid of ``S`` sentences.

    Attributes:
        room: The memory.
        kind: Of what is listed.
        listed: Words or rows that are left, in order, ``[A]``; nobody's is the first, and all
            that are left over.
        rows: The row of each, ``[A]``.
        sentences: Room for so many of them.
        width: Room for so many rows of one.
    """

    room: Room
    kind: int
    listed: Tensor
    rows: Tensor
    sentences: int
    width: int

    @cached_property
    def at(self) -> Tensor:
        """Place of each row in its text, ``[A]``."""
        return self.room.positions[self.rows]

    @cached_property
    def cell(self) -> Tensor:
        """Where each stands in the flattened grid, ``[A]``, from 1; 0 for nobody's."""
        room, kind = self.room, self.kind
        shift = torch.sub(room.before[kind, :-1], room.slot[:-1], alpha=self.width)
        return (room.upto[kind] - shift[room.sentence_of(kind)])[self.listed]

    @cached_property
    def grid(self) -> Tensor:
        """Which of them stands in each cell, ``[S, Q]``; the first where none does."""
        empty = self.cell.new_zeros(self.sentences * self.width + 1)
        grid = empty.scatter_(0, self.cell, self.room.numbers[: len(self.listed)])
        return grid[1:].view(self.sentences, self.width)

    @cached_property
    def out(self) -> Tensor:
        """Where to read what the grid has found, ``[A]``; nobody's reads anybody's."""
        return self.cell - 1


@dataclass(frozen=True, eq=False)
class Plan:
    """Who meets whom in the layers of a segment.

    Attributes:
        words: Words that arrive at its end, ``[N]``, nobody's the first.
        asking: The rows that ask.
        read: The rows that are read.
    """

    words: Tensor
    asking: Place
    read: Place

    @cached_property
    def mask(self) -> Tensor:
        """Which keys are real, ``[S, 1, 1, K]`` bool; of nobody's sentence the first."""
        mask = self.read.grid > 0
        mask[:, 0].fill_(True)  # or nobody's sentence would make numbers that are none
        return mask[:, None, None]

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """Of queries and keys in their texts, ``[S, Q]`` and ``[S, K]``."""
        return self.asking.at[self.asking.grid], self.read.at[self.read.grid]

    @cached_property
    def offsets(self) -> tuple[Tensor, Tensor]:
        """Where sentences begin in the lists of queries and keys, ``[S + 3]`` int32 each.

        The first sentence is nobody's, and has one row; sentences that have left have none.
        """
        ends = F.pad(self.asking.room.before + 1, (1, 0)).int()
        return ends[self.asking.kind], ends[self.read.kind]


def mark(room: Room, halted: Halted, number: int) -> None:
    """Note who is left before segment ``number``, and count them."""
    left, upto, before, each, rows = room.left, room.upto, room.before, room.each, room.sizes.rows
    torch.cumsum(left[WORDS], 0, out=upto[WORDS])
    torch.index_select(upto[WORDS], 0, room.word_bounds, out=before[WORDS])
    torch.sub(before[WORDS, 1:], before[WORDS, :-1], out=each[WORDS])
    torch.gt(each[WORDS], 0, out=room.live[1:])
    torch.cumsum(room.live, 0, out=room.slot)
    torch.index_select(room.live[1:], 0, room.row_sentence, out=left[READ])
    torch.index_select(left[WORDS], 0, room.row_word, out=left[ASKING])
    left[ASKING].logical_and_(left[READ])
    if halted != "copy":
        left[READ].copy_(left[ASKING])
    torch.cumsum(left[ASKING:], 1, out=upto[ASKING:])
    torch.index_select(upto[ASKING:], 1, room.row_bounds, out=before[ASKING:])
    torch.sub(before[ASKING:, 1:], before[ASKING:, :-1], out=each[ASKING:])
    pairs = (each * each[READ]).sum(1)
    parts = [upto[:, rows], room.slot[-1:], each.amax(1), pairs]
    torch.cat(parts, out=room.counts.counted[number])


def plan(room: Room, shape: Shape) -> Plan:
    """Arrange the layers of a segment for those whom ``mark`` has found."""
    rows = room.sizes.rows + 1
    left = room.left[:, :rows]
    slots, names = room.upto[:, :rows] * left, room.numbers[:rows] * left
    words, asking, read = (
        slots.new_zeros(count).scatter_(0, slots[kind], names[kind])
        for kind, count in ((WORDS, shape.words), (ASKING, shape.rows), (READ, shape.kept))
    )
    return Plan(
        words=words,
        asking=Place(room, ASKING, asking, asking, shape.sentences, shape.queries),
        read=Place(room, READ, read, read, shape.sentences, shape.keys),
    )


def for_top(room: Room, below: Plan) -> Plan:
    """The same for a top layer in which each word asks by its first row alone."""
    first, asked = room.first_row[below.words], below.asking
    asking = Place(room, WORDS, below.words, first, asked.sentences, asked.width)
    return Plan(below.words, asking, below.read)
