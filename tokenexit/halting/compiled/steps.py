"""Layer by layer, with Python in between: for policies without a rule, and whoever looks on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.compiled.encoder import CompiledEncoder
from tokenexit.halting.compiled.run import Calls
from tokenexit.halting.compiled.structs import address
from tokenexit.halting.engine import counted, judged, of_staying, with_newest
from tokenexit.halting.flat import FlatTexts
from tokenexit.halting.rows import Halted
from tokenexit.halting.trace import Work
from tokenexit.halting.visitor import Visitor
from tokenexit.signals import Signals

_HEAD, _CONTEXT = 3, 5
"""Where the rows that a head scored, or a context gate judged, stand among a layer's work."""


def run_visitor(
    encoder: CompiledEncoder,
    backbone: Backbone,
    heads: Any,
    texts: FlatTexts,
    visitor: Visitor,
    *,
    halted: Halted = "copy",
    classes: Sequence[str] = (),
) -> Work:
    """``halting.encode`` with the layers computed by kernels.

    Rows come in the order of the texts, not longest first.

    Args:
        encoder: The network, compiled.
        backbone: The same network, whose classifier scores where kernels do not know the heads.
        heads: Exit heads below the top.
        texts: One batch.
        visitor: Who decides.
        halted: What halted rows still give to the others.
        classes: Names of the classes, for policies that ask.
    """
    steps = _Steps(encoder, texts, halted)
    words = _Words.all_of(texts)
    previous: Callable[[], Tensor] | None = None
    past: Tensor | None = None
    reads_past = heads.reads_past
    scored_by_top = halted == "restore" and encoder.mean
    asked = [{"head": 0, "gate": 0, "context": 0} for _ in range(encoder.num_layers)]
    extent = int(np.diff(texts.word_start).max(initial=0))
    for layer in range(1, encoder.num_layers + 1):
        if not len(words):
            break
        steps.layer(layer)
        top = layer == encoder.num_layers
        if not top and layer not in encoder.exits:
            continue
        seen = steps.seen(len(words), encoder.mean and not top)
        counts = asked[layer - 1]
        if encoder.scores:
            head: Callable[..., Tensor] = partial(encoder.score, layer)
        else:
            head = backbone.classify if top else heads.at(layer)
        signals = Signals(
            layer=layer,
            num_layers=encoder.num_layers,
            hidden=seen,
            sequence=words.sequence,
            position=words.position,
            item_id=words.item,
            num_sequences=len(texts.sentences),
            extent=extent,
            head=partial(counted, head, counts, "head"),
            classes=tuple(classes),
            target=words.target,
            gate_head=None if heads.gate is None else partial(counted, heads.gate, counts, "gate"),
            previous=previous,
            past=None if top else past,
            first=steps.seen(len(words), False) if scored_by_top and not top else None,
            exit_head=None if top else heads.at(layer),
            context=None if heads.context is None else partial(judged, heads.context, counts),
        )
        halt = visitor.arrive(signals, words.number)
        if top:
            halt = signals.none().logical_not_()
        stay: Tensor | None = None
        if halt is not None and bool(halt.any()):
            left, stay = halt.nonzero()[:, 0], halt.logical_not().nonzero()[:, 0]
            steps.retire(halt)
            words = words.select(stay)
            visitor.leave(left, stay)
        previous = partial(of_staying, seen, stay)
        if reads_past and not top:
            past = with_newest(past, seen, stay)
        work = steps.calls.work[layer - 1]
        work[_HEAD] += counts["head"]
        work[_CONTEXT] += counts["context"]
    return steps.calls.done([counts["gate"] for counts in asked])


def run_states(encoder: CompiledEncoder, texts: FlatTexts) -> Tensor:
    """States of each word's first row above the last layer, finished, ``[W, H]``; nobody leaves."""
    steps = _Steps(encoder, texts, "copy")
    for layer in range(1, encoder.num_layers + 1):
        steps.layer(layer)
    return steps.seen(texts.num_words, False)


class _Steps:
    """A batch inside of the kernels.

    Args:
        encoder: The network.
        texts: The batch.
        halted: What halted rows still give.
    """

    def __init__(self, encoder: CompiledEncoder, texts: FlatTexts, halted: Halted) -> None:
        self._encoder, self._library = encoder, encoder.library
        self._struct = encoder.reaching(texts)
        self._network = ctypes.addressof(self._struct)
        self.calls = Calls(encoder, texts)
        self.calls.choose(range(len(texts.sentences)))
        where = ctypes.addressof(self.calls.texts)
        size = self._library.encoder_bytes(self._network, where)
        self._block = np.empty(size, dtype=np.uint8)
        self._live = self._library.encoder_enter(
            self._network, where, halted != "copy", address(self._block)
        )

    def layer(self, layer: int) -> None:
        """One layer, from 1."""
        self._library.encoder_step(self._network, self._live, layer - 1, address(self.calls.work))

    def seen(self, count: int, mean: bool) -> Tensor:
        """States of the words as heads see them, ``[N, H]``."""
        made = torch.empty(count, self._encoder.width)
        self._library.encoder_seen(self._network, self._live, mean, made.data_ptr())
        return made

    def retire(self, halt: Tensor) -> None:
        """Words halt, ``[N]`` bool."""
        gone = halt.to(torch.uint8).contiguous()
        moved = np.empty(len(gone), dtype=np.int32)
        self._library.encoder_retire(self._live, gone.data_ptr(), address(moved))


@dataclass(frozen=True, eq=False)
class _Words:
    """The words that remain, ``[N]`` each; see ``Signals``."""

    number: Tensor
    sequence: Tensor
    position: Tensor
    item: Tensor
    target: Tensor | None

    @classmethod
    def all_of(cls, texts: FlatTexts) -> Self:
        """Every word of a batch."""
        target = texts.target
        return cls(
            torch.arange(texts.num_words),
            torch.from_numpy(texts.sequence),
            torch.from_numpy(texts.position),
            torch.from_numpy(texts.item),
            None if target is None else torch.from_numpy(target),
        )

    def __len__(self) -> int:
        return len(self.number)

    def select(self, rows: Tensor) -> Self:
        """Some of them."""
        target = None if self.target is None else self.target[rows]
        return type(self)(
            self.number[rows], self.sequence[rows], self.position[rows], self.item[rows], target
        )
