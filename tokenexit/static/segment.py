"""Everything between two decisions as one function of memory of fixed size.

Layers, head, rule and counting: what is captured, exactly. Nothing in here is looked at by the
host, and all shapes follow from ``Shape``, so that a capture serves all batches that fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting import Halted
from tokenexit.halting.attention import read_projected
from tokenexit.heads import ExitHeads
from tokenexit.policies.rule import Rule
from tokenexit.signals import Signals
from tokenexit.static.buckets import Shape
from tokenexit.static.decide import decide
from tokenexit.static.plan import Place, Plan, compact, mark, plan, plan_top
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


@dataclass(frozen=True, eq=False)
class Network:
    """What segments compute with.

    Attributes:
        backbone: The network.
        heads: Exit heads below the top.
        rule: Who halts; its thresholds and depths are in the memory.
        halted: What halted rows still give to the others.
    """

    backbone: Backbone
    heads: ExitHeads
    rule: Rule
    halted: Halted

    @property
    def remembered(self) -> int:
        """At how many exits before the states of words are wanted."""
        if self.heads.reads_past:
            return len(self.heads.layers)
        return int(self.rule.score in ("saturation", "gate"))


def enter(network: Network, room: Room) -> None:
    """Embed a batch that was loaded; everybody is there."""
    backbone, rows = network.backbone, room.sizes.rows
    given = room.ids[None], room.positions[None, :rows], room.parts[None]
    room.states[:rows].copy_(backbone.embed(*given)[0])
    room.states[rows:].zero_()
    room.alive[: rows + 1].copy_(room.word_sentence < room.sizes.sentences)
    room.alive[rows + 1 :].fill_(True)
    room.times_sure.zero_()
    room.last.fill_(-1)
    room.told.fill_(float("nan"))
    room.exit_layer.zero_()
    mark(room, network.halted, 0)


def run(network: Network, room: Room, segment: Segment, shape: Shape) -> None:
    """Compute a segment of whatever the memory holds, and note what has come of it."""
    if segment.number == 0:
        enter(network, room)
    backbone, heads = network.backbone, network.heads
    met = plan(room, shape)
    words = compact(room.alive[: room.sizes.rows], shape.words)
    for layer in range(segment.first, segment.last + 1):
        top = layer == backbone.num_layers
        if top and backbone.row_by_row:
            met = plan_top(room, words, shape, met)
        _layer(network, room, layer - 1, met)
        if network.remembered and layer in heads.layers and layer < segment.last:
            _remember(network, room, layer, words, _seen(network, room, layer, words, met))
    _exit(network, room, segment, words, met)


def _layer(network: Network, room: Room, index: int, met: Plan) -> None:
    """One layer on the rows that ask."""
    backbone, asking, read = network.backbone, met.asking, met.read
    rows, source = room.states[asking.rows], room.states[read.rows]
    queries = backbone.queries(index, rows, asking.at)
    keys, values = backbone.keys_values(index, source, read.at)
    found = read_projected(
        backbone,
        index,
        queries[asking.grid],
        keys[read.grid],
        values[read.grid],
        met.places,
        met.mask,
        backbone.eager,
    )
    found = found.flatten(2).flatten(0, 1)[asking.cell]
    room.states.index_copy_(0, asking.rows, backbone.combine(index, rows, found))


def _seen(network: Network, room: Room, layer: int, words: Tensor, met: Plan) -> Tensor:
    """States of words as heads see them, ``[N, H]``."""
    mean = network.heads.pool == "mean" and layer < network.backbone.num_layers
    states = _means(room, words, met.asking) if mean else room.states[room.first_row[words]]
    return network.backbone.finish(states)


def _means(room: Room, words: Tensor, asking: Place) -> Tensor:
    """The mean over all rows of each word, ``[N, H]``."""
    sums = room.states.new_zeros(room.sizes.rows + 2, room.sizes.width)
    sums.index_add_(0, room.row_word[asking.rows], room.states[asking.rows])
    return sums[words] / room.word_rows[words][:, None]


def _remember(network: Network, room: Room, layer: int, words: Tensor, seen: Tensor) -> None:
    """Keep what words looked like at an exit, for the exits above."""
    if network.remembered:
        slot = network.heads.layers.index(layer) if network.heads.reads_past else 0
        room.past[slot].index_copy_(0, words, seen)


def _signals(network: Network, room: Room, layer: int, words: Tensor, seen: Tensor) -> Signals:
    backbone, heads = network.backbone, network.heads
    top = layer == backbone.num_layers
    exits_before = sum(other < layer for other in heads.layers)
    slot = exits_before - 1 if heads.reads_past else 0
    past = None
    if heads.reads_past and exits_before and not top:
        past = room.past[:exits_before].index_select(1, words).transpose(0, 1)
    return Signals(
        layer=layer,
        num_layers=backbone.num_layers,
        hidden=seen,
        sequence=room.word_sentence[words],
        position=room.word_place[words],
        item_id=room.word_item[words],
        num_sequences=room.sizes.sentences + 1,
        extent=room.sizes.rows,
        head=backbone.classify if top else heads.at(layer),
        gate_head=heads.gate,
        previous=(lambda: room.past[slot][words]) if exits_before else None,
        past=past,
    )


def _exit(network: Network, room: Room, segment: Segment, words: Tensor, met: Plan) -> None:
    """Ask the rule, let words leave and count who is left; at the top all leave."""
    layer, rows = segment.last, room.sizes.rows
    seen = _seen(network, room, layer, words, met)
    signals = _signals(network, room, layer, words, seen)
    if network.halted != "restore":
        # Of all who arrive: what those who stay say here is written over when they leave.
        room.logits.index_copy_(0, words, signals.logits.to(room.logits.dtype))
    if layer == network.backbone.num_layers:
        room.exit_layer.index_fill_(0, words, layer)
        return
    halt = decide(room, network.rule, signals, words)
    room.exit_layer.index_copy_(0, words, halt * layer)
    room.alive.index_copy_(0, words, ~halt)
    room.alive[rows : rows + 1].fill_(False)
    _remember(network, room, layer, words, seen)
    mark(room, network.halted, segment.number + 1)


def restore(network: Network, room: Room) -> None:
    """Score every word by the top's head, wherever it has left."""
    frozen = network.backbone.finish(room.states[room.first_row])
    room.logits.copy_(network.backbone.classify(frozen))
