"""What is known of the words at an exit, computed when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.backbones import Backbone
from tokenexit.halting import Halted
from tokenexit.heads import ExitHeads
from tokenexit.policies import index_state
from tokenexit.policies.rule import Rule
from tokenexit.signals import Signals
from tokenexit.static.fuse import Fuse
from tokenexit.static.plan import Plan
from tokenexit.static.room import Room


@dataclass(frozen=True, eq=False)
class Network:
    """What segments compute with.

    Attributes:
        backbone: The network.
        heads: Exit heads below the top.
        rule: Who halts; its thresholds and depths are in the memory.
        halted: What halted rows still give to the others.
        fuse: Compiles plans and decisions; None for operators.
    """

    backbone: Backbone
    heads: ExitHeads
    rule: Rule
    halted: Halted
    fuse: Fuse | None = None

    @property
    def remembered(self) -> int:
        """At how many exits before the states of words are wanted."""
        if self.heads.reads_past:
            return len(self.heads.layers)
        return int(self.rule.score in ("saturation", "gate"))


class Arrived:
    """The words at an exit.

    Args:
        network: What scores them.
        room: The memory.
        layer: After which, from 1.
        met: The plan by which they came; of its words, nobody's is the first.
    """

    def __init__(self, network: Network, room: Room, layer: int, met: Plan) -> None:
        self._network, self._room, self._met = network, room, met
        self._layer, self._words = layer, met.words
        self._top = layer == network.backbone.num_layers
        self._exits_before = sum(other < layer for other in network.heads.layers)

    @cached_property
    def seen(self) -> Tensor:
        """States as heads see them, ``[N, H]``."""
        room, network = self._room, self._network
        if network.heads.pool == "mean" and not self._top:
            states = self._means()
        else:
            states = room.states[room.first_row[self._words]]
        return network.backbone.finish(states)

    def _means(self) -> Tensor:
        room, rows = self._room, self._met.asking.rows
        sums = room.states.new_zeros(room.sizes.rows + 2, room.sizes.width)
        sums.index_add_(0, room.row_word[rows], room.states[rows])
        return sums[self._words] / room.word_rows[self._words][:, None]

    @cached_property
    def logits(self) -> Tensor:
        """Class scores, ``[N, C]``."""
        if self._top:
            return self._network.backbone.classify(self.seen)
        head, past = self._network.heads.at(self._layer), self._past()
        return head(self.seen) if past is None else head(self.seen, past)

    @cached_property
    def number(self) -> Tensor:
        """What the rule compares where that is no score of logits, ``[N]`` float32."""
        score = self._network.rule.score
        if score == "depth":
            return self._room.depth[self._words].float()
        if score == "gate":
            return self._signals().gate.float()
        if score == "context":
            return self._judged()
        previous = self._previous()
        if previous is None:
            return self.seen.new_full((len(self.seen),), -1.0, dtype=torch.float32)
        cosine = F.cosine_similarity(self.seen.float(), previous.float(), dim=-1)
        return cosine.clamp(-1.0, 1.0)

    def _judged(self) -> Tensor:
        """How likely each word is wrong by the context gate, ``[N]``, which remembers it."""
        gate, room = self._network.heads.context, self._room
        assert gate is not None
        first = not any(self._network.rule.asked[: self._layer - 1])
        memory = None if first else index_state(room.memory, self._words)
        wrong, memory = gate.step(self._signals(), memory)
        room.remember(self._words, memory)
        return wrong

    def remember(self) -> None:
        """Keep the states for the exits above, where those look at them."""
        if self._network.remembered:
            slot = self._exits_before if self._network.heads.reads_past else 0
            self._room.past[slot].index_copy_(0, self._words, self.seen)

    def _previous(self) -> Tensor | None:
        """States at the exit before, ``[N, H]``; None at the first."""
        if not self._exits_before:
            return None
        slot = self._exits_before - 1 if self._network.heads.reads_past else 0
        return self._room.past[slot][self._words]

    def _past(self) -> Tensor | None:
        """States at all exits before, ``[N, E, H]``; None where no head reads them."""
        if not self._network.heads.reads_past or not self._exits_before:
            return None
        past = self._room.past[: self._exits_before]
        return past.index_select(1, self._words).transpose(0, 1)

    def _signals(self) -> Signals:
        room, words = self._room, self._words
        return Signals(
            layer=self._layer,
            num_layers=self._network.backbone.num_layers,
            hidden=self.seen,
            sequence=room.word_sentence[words],
            position=room.word_place[words],
            item_id=room.word_item[words],
            num_sequences=room.sizes.sentences + 1,
            extent=room.sizes.longest,
            head=lambda *_: self.logits,
            gate_head=self._network.heads.gate,
            previous=None if not self._exits_before else self._previous_there,
            past=self._past(),
        )

    def _previous_there(self) -> Tensor:
        previous = self._previous()
        assert previous is not None
        return previous
