"""The encoder engine planned on the device: batches in, decisions out.

The host only launches segments, of shapes that follow from counts which arrive late. Where the
device is a GPU each segment is captured once a shape; elsewhere the same function runs as it is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from tokenexit.backbones import Backbone
from tokenexit.errors import unknown_name
from tokenexit.halting import HALTED, Decisions, Halted, LayerWork, PackedBatch, Work
from tokenexit.heads import ExitHeads
from tokenexit.policies.rule import OF_LOGITS, Rule
from tokenexit.static.arrived import Network
from tokenexit.static.buckets import power, room_for
from tokenexit.static.counts import Counts, counts_at_start
from tokenexit.static.fuse import Fuse
from tokenexit.static.graphs import Graphs, capturer
from tokenexit.static.room import Room, Sizes
from tokenexit.static.segment import Segment, restore, run, segments

MOST_ROOMS = 4
"""Sizes of batches whose memory is kept."""


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """What became of a batch.

    Attributes:
        decisions: Where words left and what was said of them.
        work: Work of each layer; what only fills up a shape is not counted.
    """

    decisions: Decisions
    work: Work


class StaticEncoder:
    """A network that computes in memory of fixed size.

    Args:
        backbone: The network.
        heads: Exit heads below the top.
        num_classes: Of its exits.
        behind: How many segments old the counts are by which shapes are chosen; 0 waits for
            each, and wastes no row.
        fused: Compile plans and decisions to fewer kernels, where torch can.
        graphs: Captures segments; CUDA graphs on a GPU when None.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: ExitHeads,
        num_classes: int,
        *,
        behind: int = 1,
        fused: bool = False,
        graphs: Graphs | None = None,
    ) -> None:
        weight = next(backbone.model.parameters())
        self.device = weight.device
        self._backbone, self._heads, self._classes = backbone, heads, num_classes
        self._behind, self._fuse = behind, Fuse() if fused else None
        self._graphs = Graphs(capturer(self.device)) if graphs is None else graphs
        self._rooms: OrderedDict[Sizes, Room] = OrderedDict()
        self._lock = threading.Lock()
        with torch.inference_mode():
            nothing = torch.zeros(1, 1, dtype=torch.long, device=self.device)
            self._numbers = backbone.embed(nothing, nothing).dtype

    @torch.inference_mode()
    def encode(self, batch: PackedBatch, rule: Rule, halted: Halted = "copy") -> EncodedBatch:
        """Run a packed batch, letting words leave as a rule says.

        Args:
            batch: Sentences, packed; best on the host, from where they go in one copy.
            rule: Who halts.
            halted: What halted rows still give to the others.

        Raises:
            UserError: The batch is larger than the largest bucket, or ``halted`` is unknown.
        """
        if halted not in HALTED:
            raise unknown_name("rule for halted states", halted, HALTED)
        if not batch.num_words:
            none = torch.zeros(0, 0), torch.zeros(0, dtype=torch.long)
            return EncodedBatch(Decisions(*none), (LayerWork(),) * self._backbone.num_layers)
        network = Network(self._backbone, self._heads, _form(rule), halted, self._fuse)
        with self._lock:
            return self._run(network, batch, rule)

    def _run(self, network: Network, batch: PackedBatch, rule: Rule) -> EncodedBatch:
        room = self._room(network, batch)
        depth = None
        if rule.depths is not None:
            depth = rule.depths(batch.word_item.cpu(), batch.word_position.cpu())
        room.load(batch, depth)
        room.lines.copy_(torch.from_numpy(rule.lines()), non_blocking=True)
        start, done = counts_at_start(batch), 0
        for segment in segments(rule.asked):
            known = room.counts.before(segment.number, start)
            if not known.words:
                break
            shape = known.shape()
            key = room.sizes, network.rule, network.halted, segment, shape
            self._graphs.run(key, partial(run, network, room, segment, shape))
            done = segment.number + 1
            room.counts.send(done)
        if network.halted == "restore":
            key = room.sizes, network.rule, network.halted
            self._graphs.run(key, partial(restore, network, room))
        words = batch.num_words
        logits, layers = (  # of their own on a CPU too: the next batch writes over them
            part[1 : words + 1].to("cpu", copy=True) for part in (room.logits, room.exit_layer)
        )
        counts = [room.counts.exact(number, start) for number in range(done)]
        return EncodedBatch(Decisions(logits, layers), _work(network, segments(rule.asked), counts))

    def _room(self, network: Network, batch: PackedBatch) -> Room:
        backbone, rule = self._backbone, network.rule
        sizes = Sizes(
            rows=room_for(len(batch.row_word)),
            sentences=power(batch.num_sequences),
            width=backbone.hidden_size,
            classes=self._classes,
            segments=backbone.num_layers,
            columns=len(rule.thresholds[0]),
            remembered=network.remembered,
            longest=power(batch.extent) if rule.score == "context" else 0,
            numbers=self._numbers,
        )
        room = self._rooms.pop(sizes, None)
        if room is None:
            if len(self._rooms) >= MOST_ROOMS:
                gone, _ = self._rooms.popitem(last=False)
                self._graphs.forget(lambda key: key[0] == gone)
            room = Room(sizes, backbone.num_layers, self.device, self._behind)
        self._rooms[sizes] = room
        return room


def _form(rule: Rule) -> Rule:
    """A rule without the numbers that are in memory: what a capture depends on."""
    none = (0.0,) * len(rule.thresholds[0])
    return replace(rule, thresholds=(none,) * len(rule.asked), depths=None)


def _work(network: Network, cut: Sequence[Segment], counts: Sequence[Counts]) -> Work:
    """Work of each layer, from what was left before each segment that ran."""
    layers = network.backbone.num_layers
    score, gate = network.rule.score, network.heads.context
    scored = score in OF_LOGITS or (score == "context" and gate is not None and gate.of_logits)
    work = [LayerWork()] * layers
    for segment, left in zip(cut, counts, strict=False):
        if not left.words:
            break
        for layer in range(segment.first, segment.last + 1):
            alone = layer == layers and network.backbone.row_by_row
            work[layer - 1] = LayerWork(
                active=left.words if alone else left.rows,
                projected=left.kept,
                pairs=left.top_pairs if alone else left.pairs,
                calls=1,
            )
        top = segment.last == layers
        asked = network.halted != "restore" or (scored and not top)
        work[segment.last - 1] += LayerWork(
            head=left.words if asked else 0,
            gate=left.words if score == "gate" and not top else 0,
            context=left.words if score == "context" and not top else 0,
        )
    return tuple(work)
