"""Greedy search that never leaves the device: the host only starts steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tokenexit.decoding.held_back import held_back
from tokenexit.decoding.static import upwards
from tokenexit.decoding.static.choose import Choice
from tokenexit.decoding.static.climb import climb
from tokenexit.decoding.static.form import Form
from tokenexit.decoding.static.sequences import StaticSequences

if TYPE_CHECKING:
    from tokenexit.decoding.search import Stopping


def greedy(
    decoding: StaticSequences,
    prompt: Tensor,
    process: Any,
    stopping: Stopping,
    pad: Tensor | None,
) -> tuple[Tensor, list[Tensor]] | None:
    """See ``Sequences.greedy``; None where somebody wants to see each step.

    That all texts have ended is learnt a step or so late, and what was written since is dropped:
    nobody waits for it.
    """
    held = held_back(process)
    unserved = held is None or decoding.pending == "parallel"
    if unserved or not stopping.simple or not stopping.most:
        return None
    assert held is not None
    choice = Choice(tuple(stopping.end_tokens) if stopping.pads else (), stopping.pads)
    asked, first = decoding.asked(decoding.policy), decoding.length
    decoding.prepare(prompt[:, -1], None)
    decoding.room.padding.fill_(0 if pad is None else int(pad))
    decoding.room.banned.zero_()
    last = max(first + stopping.most - prompt.shape[1], first + 1)
    while decoding.length < last and not _ended(decoding, first):
        decoding.prepare(None, None)
        place, room = decoding.length, decoding.room
        if place == first or place + 1 == held.until:
            _hold_back(decoding, held.words, place + 1 < held.until)
        climb(decoding, asked, None, choice)
        decoding.reads.send(place, room.going[place : place + 1])
    return _written(decoding, asked.form, prompt, first)


def _ended(decoding: StaticSequences, first: int) -> bool:
    """Whether all texts are known to have ended."""
    place, longest = decoding.length, decoding.decoder.max_length
    late = 0 if longest is not None and place >= longest else decoding.static.behind
    if place - 1 - late < first:
        return False
    return decoding.reads.arrived(place - 1 - late) == 0


def _hold_back(decoding: StaticSequences, words: Tensor, held: bool) -> None:
    """Let nobody write some words, or let them again."""
    banned = decoding.room.banned
    if len(words):
        banned.index_fill_(0, words.to(banned.device), float("-inf") if held else 0.0)


def _written(
    decoding: StaticSequences, form: Form, prompt: Tensor, first: int
) -> tuple[Tensor, list[Tensor]]:
    """Tokens, the prompt included, and exit layers of the steps until all had ended."""
    room, rows, last = decoding.room, decoding.num_rows, decoding.length
    going = decoding.reads.fetch(room.going)[first:last]
    ended = (going == 0).nonzero()[0]
    last = first + int(ended[0]) + 1 if len(ended) else last
    written = room.written[:rows, first:last]
    layers = torch.from_numpy(decoding.reads.fetch(room.left)[:rows, first:last])
    upwards.wrote(decoding, form, first, layers.numpy())
    return torch.cat([prompt, written.to(prompt.device)], dim=1), [*layers.unbind(dim=1)]
