"""The next token of greedy search, chosen where the logits are."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tokenexit.decoding.static.room import Room


@dataclass(frozen=True)
class Choice:
    """What is chosen, as far as a capture depends on it.

    Attributes:
        ends: Tokens that end a text; none if only its length does.
        pads: Whether texts that have ended write padding.
    """

    ends: tuple[int, ...]
    pads: bool


def choose(room: Room, choice: Choice) -> None:
    """Write down the best word of every text, and which texts go on.

    Args:
        room: The memory; gets the tokens of the next step.
        choice: What ends a text.
    """
    best = (room.logits.float() + room.banned).argmax(dim=-1)
    if choice.pads:
        best = torch.where(room.live, best, room.padding)
    room.written.index_copy_(1, room.here, best[:, None])
    room.left.index_copy_(1, room.here, room.exit_layer.clamp_min(0)[:, None])
    room.tokens.copy_(best)
    for end in choice.ends:
        room.live.logical_and_(best != end)
    room.going.index_copy_(0, room.here, room.live.sum(dim=0, keepdim=True))
