"""Index arithmetic on the device: who asks, who is read, and where each meets the others.

All shapes are known before, no value is looked at by the host. Lists are in order of rows; what
is left over at their end points at nobody's row, word or sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.halting import Halted
from tokenexit.static.buckets import Shape
from tokenexit.static.counts import count
from tokenexit.static.room import Room


@dataclass(frozen=True, eq=False)
class Place:
    """Rows in a grid of ``S`` sentences.

    Attributes:
        rows: Numbers of the rows, ``[A]``.
        cell: Where each stands in the flattened grid, ``[A]``; the first where it is nobody's.
        grid: Which of them stands in each cell, ``[S, Q]``; the first where none does.
        filled: Where one does, ``[S, Q]`` bool.
        at: Place of each row in its text, ``[A]``.
    """

    rows: Tensor
    cell: Tensor
    grid: Tensor
    filled: Tensor
    at: Tensor


@dataclass(frozen=True, eq=False)
class Plan:
    """Who meets whom in the layers of a segment.

    Attributes:
        asking: The rows that ask.
        read: The rows that are read.
        mask: Which keys are real, ``[S, 1, 1, K]`` bool; of nobody's sentence the first.
        places: Of queries and keys in their texts, ``[S, Q]`` and ``[S, K]``.
    """

    asking: Place
    read: Place
    mask: Tensor
    places: tuple[Tensor, Tensor]


def compact(chosen: Tensor, capacity: int) -> Tensor:
    """Numbers of the chosen, ``[T] bool -> [capacity]``, ``T`` where there are no more."""
    total = chosen.shape[0]
    place = (chosen.cumsum(0) - 1).masked_fill(~chosen, capacity).clamp_max(capacity)
    found = torch.full((capacity + 1,), total, device=chosen.device)
    return found.scatter_(0, place, torch.arange(total, device=chosen.device))[:capacity]


def before(chosen: Tensor, bounds: Tensor) -> Tensor:
    """How many are chosen before each sentence, ``[T] bool, [S + 2] -> [S + 2]``."""
    return F.pad(chosen.cumsum(0), (1, 0))[bounds]


def mark(room: Room, halted: Halted, number: int) -> None:
    """Note who is left before segment ``number``, and count them."""
    rows = room.sizes.rows
    room.words_before.copy_(before(room.alive[:rows], room.word_bounds))
    words = room.words_before.diff()
    room.live.copy_(words > 0)
    still = room.live[room.row_sentence[:rows]]
    torch.logical_and(room.alive[room.row_word[:rows]], still, out=room.active)
    room.kept.copy_(still if halted == "copy" else room.active)
    room.active_before.copy_(before(room.active, room.row_bounds))
    room.kept_before.copy_(before(room.kept, room.row_bounds))
    counts = count(room.active_before.diff(), room.kept_before.diff(), words)
    room.counts.counted[number].copy_(counts)


def plan(room: Room, shape: Shape) -> Plan:
    """Arrange the layers of a segment for those whom ``mark`` has found."""
    slot = room.live.cumsum(0) - 1
    asking = compact(room.active, shape.rows)
    read = compact(room.kept, shape.kept)
    return _met(
        _place(room, asking, room.active_before, slot, shape.sentences, shape.queries),
        _place(room, read, room.kept_before, slot, shape.sentences, shape.keys),
    )


def plan_top(room: Room, words: Tensor, shape: Shape, below: Plan) -> Plan:
    """The same for a top layer in which each word asks by its first row alone.

    Args:
        room: The memory.
        words: Words that are left, ``[N]``.
        shape: How much room there is.
        below: Of the layers below.
    """
    slot = room.live.cumsum(0) - 1
    first = room.first_row[words]
    asking = _place(room, first, room.words_before, slot, shape.sentences, shape.queries)
    return _met(asking, below.read)


def _met(asking: Place, read: Place) -> Plan:
    mask = read.filled.clone()
    mask[:, 0].fill_(True)  # or nobody's sentence would make numbers that are none
    places = asking.at[asking.grid], read.at[read.grid]
    return Plan(asking, read, mask[:, None, None], places)


def _place(
    room: Room, rows: Tensor, ahead: Tensor, slot: Tensor, sentences: int, width: int
) -> Place:
    """Lay out rows sentence by sentence.

    Args:
        room: The memory.
        rows: Numbers of the rows, in order, ``[A]``.
        ahead: How many of them come before each sentence, ``[S + 2]``.
        slot: Which of the live sentences each is, ``[S + 1]``.
        sentences: Room for so many of them.
        width: Room for so many rows of one.
    """
    cells, nobody = sentences * width, rows == room.sizes.rows
    number = torch.arange(rows.shape[0], device=rows.device)
    sentence = room.row_sentence[rows]
    cell = slot[sentence] * width + number - ahead[sentence]
    cell = cell.masked_fill(nobody, cells).clamp(0, cells)
    grid = torch.zeros(cells + 1, dtype=torch.long, device=rows.device).scatter_(0, cell, number)
    filled = torch.zeros(cells + 1, dtype=torch.bool, device=rows.device)
    filled.index_fill_(0, cell, True)
    return Place(
        rows=rows,
        cell=cell.masked_fill(nobody, 0),
        grid=grid[:-1].view(sentences, width),
        filled=filled[:-1].view(sentences, width),
        at=room.positions[rows],
    )
