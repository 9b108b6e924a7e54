"""Everything between two decisions as one function of memory of fixed size.

Layers, head, rule and counting: what is captured, exactly. Nothing in here is looked at by the
host, and all shapes follow from ``Shape``, so that a capture serves all batches that fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tokenexit.policies.rule import OF_LOGITS
from tokenexit.static.arrived import Arrived, Network
from tokenexit.static.attention import attend
from tokenexit.static.buckets import Shape
from tokenexit.static.decide import halting, measure
from tokenexit.static.plan import Plan, for_top, mark, plan
from tokenexit.static.room import Room


@dataclass(frozen=True)
class Segment:
    """Layers that run without a decision between them.

    Attributes:
        number: From 0.
        first: Its first layer, from 1.
        last: Its last layer, after which words leave.
    """

    number: int
    first: int
    last: int


def segments(asked: Sequence[bool]) -> list[Segment]:
    """Cut a network where somebody may leave.

    Args:
        asked: Layers at which the rule is asked, ``[L]``; at the top all leave.
    """
    ends = [layer for layer, ask in enumerate(asked[:-1], 1) if ask] + [len(asked)]
    starts = [1, *(end + 1 for end in ends[:-1])]
    return [Segment(n, a, b) for n, (a, b) in enumerate(zip(starts, ends, strict=True))]


def enter(network: Network, room: Room) -> None:
    """Embed a batch that was loaded; everybody is there."""
    rows = room.sizes.rows
    given = (part[None, : rows + 1] for part in (room.ids, room.positions, room.parts))
    room.states.copy_(network.backbone.embed(*given)[0])
    torch.gt(room.word_sentence, 0, out=room.alive)
    room.alive[rows + 1 :].fill_(True)
    room.times_sure.zero_()
    room.last.fill_(-1)
    room.told.fill_(float("nan"))
    mark(room, network.halted, 0)


def run(network: Network, room: Room, segment: Segment, shape: Shape) -> None:
    """Compute a segment of whatever the memory holds, and note what has come of it."""
    if segment.number == 0:
        enter(network, room)
    backbone = network.backbone
    joined = None if network.fuse is None else network.fuse.plan(room, shape)
    met = plan(room, shape) if joined is None else joined
    for layer in range(segment.first, segment.last + 1):
        if layer == backbone.num_layers and backbone.row_by_row:
            met = for_top(room, met)
        _layer(network, room, layer - 1, met)
        if network.remembered and layer in network.heads.layers and layer < segment.last:
            Arrived(network, room, layer, met).remember()
    _leave(network, room, segment, met)


def _layer(network: Network, room: Room, index: int, met: Plan) -> None:
    """One layer on the rows that ask."""
    backbone, asking = network.backbone, met.asking.rows
    rows, source = room.states[asking], room.states[met.read.rows]
    found = attend(backbone, index, rows, source, met)
    room.states.index_copy_(0, asking, backbone.combine(index, rows, found))


def _leave(network: Network, room: Room, segment: Segment, met: Plan) -> None:
    """Ask the rule, let words leave and count who is left; at the top all leave."""
    layer, words, rule = segment.last, met.words, network.rule
    arrived = Arrived(network, room, layer, met)
    # Of all who arrive: what those who stay leave here is written over when they leave.
    room.exit_layer.index_fill_(0, words, layer)
    if network.halted != "restore":
        room.logits.index_copy_(0, words, arrived.logits.to(room.logits.dtype))
    if layer == network.backbone.num_layers:
        return
    told = (arrived.logits, None) if rule.score in OF_LOGITS else (None, arrived.number)
    number, limit = measure(room, rule, layer, words, *told)
    arrived.remember()
    after, fuse = segment.number + 1, network.fuse
    if fuse and fuse.leave(room, rule, network.halted, words, number, limit, after):
        return
    halt = halting(room, rule, words, number, limit)
    room.alive.index_copy_(0, words, ~halt)
    room.alive[:1].fill_(False)
    mark(room, network.halted, after)


def restore(network: Network, room: Room) -> None:
    """Score every word by the top's head, wherever it has left."""
    frozen = network.backbone.finish(room.states[room.first_row])
    room.logits.copy_(network.backbone.classify(frozen))
