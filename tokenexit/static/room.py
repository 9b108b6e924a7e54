"""Memory of fixed size that one batch after another is computed in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.halting import PackedBatch
from tokenexit.policies.base import State
from tokenexit.static.buckets import bucket
from tokenexit.static.counts import LateCounts

WORDS, ASKING, READ = 0, 1, 2
"""Who is left, by kind: words, rows that ask, rows that are read."""


@dataclass(frozen=True)
class Sizes:
    """What memory is made for.

    Attributes:
        rows: Token rows, and as many words, ``T``.
        sentences: ``S``.
        width: ``H``.
        classes: ``C``.
        segments: Segments of the network at most.
        columns: Thresholds of a layer: 1, or one a class.
        remembered: States of each word at exits before that are kept, ``E``.
        longest: Words of a sentence at most, where a gate looks at neighbours; else 0.
        numbers: Type of the states.
    """

    rows: int
    sentences: int
    width: int
    classes: int
    segments: int
    columns: int
    remembered: int
    longest: int
    numbers: torch.dtype


class Room:
    """Everything that segments read and write. Nothing here is ever made anew.

    Rows, words and sentences are counted from 1. Row, word and sentence 0 are nobody's: what is
    left over of a fixed shape points there. Special tokens belong to word ``T + 1``, which never
    leaves.

    Args:
        sizes: How much of each.
        layers: Depth of the network.
        device: Where.
        behind: See ``LateCounts``.
    """

    ids: Tensor
    """Vocabulary ids, ``[T + 2]``."""
    positions: Tensor
    """Places of rows in their texts, ``[T + 2]``."""
    parts: Tensor
    """Which of two sentences rows belong to, ``[T + 2]``."""
    row_word: Tensor
    """Word of each row, ``[T + 2]``."""
    row_sentence: Tensor
    """Sentence of each row, ``[T + 2]``."""
    row_bounds: Tensor
    """How many rows come before each sentence, and after the last, ``[S + 2]``."""
    first_row: Tensor
    """Row that decides for each word, ``[T + 2]``."""
    word_rows: Tensor
    """How many rows each word has, ``[T + 2]``."""
    word_sentence: Tensor
    """Sentence of each word, ``[T + 2]``."""
    word_place: Tensor
    """Its place there, ``[T + 2]``."""
    word_item: Tensor
    """Vocabulary id of its first row, ``[T + 2]``."""
    word_bounds: Tensor
    """How many words come before each sentence, and after the last, ``[S + 2]``."""
    depth: Tensor
    """Layer assigned to each word, ``[T + 2]``."""

    def __init__(self, sizes: Sizes, layers: int, device: torch.device, behind: int = 1) -> None:
        self.sizes = sizes
        rows, bounds = sizes.rows + 2, sizes.sentences + 2

        def whole(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.long, device=device)

        def states(*shape: int, dtype: torch.dtype = sizes.numbers) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self._lengths = {
            name: bounds if name.endswith("_bounds") else rows
            for name, kind in Room.__annotations__.items()
        }
        total = sum(self._lengths.values())
        self._given = whole(total)
        self._host = torch.zeros(total, dtype=torch.long, pin_memory=device.type == "cuda")
        for name, part in self._named(self._given).items():
            setattr(self, name, part)
        self.lines = states(layers, sizes.columns, dtype=torch.float32)
        self.numbers = torch.arange(bucket(rows), device=device)  # longer than any list of rows

        # Who is left, of each kind; how many up to each, before each sentence, and of each.
        self.left = torch.zeros(3, rows, dtype=torch.bool, device=device)
        self.upto, self.before, self.each = whole(3, rows), whole(3, bounds), whole(3, bounds - 1)
        self.live = torch.zeros(bounds, dtype=torch.bool, device=device)
        self.slot = whole(bounds)

        self.states = states(rows - 1, sizes.width)
        self.past = states(sizes.remembered, rows, sizes.width)
        self.times_sure, self.last = whole(rows), whole(rows)
        self.told = states(rows, dtype=torch.float32)
        wide = torch.promote_types(sizes.numbers, torch.float32)
        self.logits = states(rows, sizes.classes, dtype=wide)
        self.exit_layer = whole(rows)
        self.memory: State = None
        """What a context gate remembers of each word; made when it first remembers something."""
        self.counts = LateCounts(sizes.segments, device, behind)

    @property
    def alive(self) -> Tensor:
        """Words that have not left, and special tokens, ``[T + 2]`` bool."""
        return self.left[WORDS]

    def sentence_of(self, kind: int) -> Tensor:
        """Sentence of each word or row, ``[T + 2]``."""
        return self.word_sentence if kind == WORDS else self.row_sentence

    def remember(self, words: Tensor, memory: State) -> None:
        """Keep what a context gate remembers of words.

        Args:
            words: Their numbers, ``[N]``.
            memory: Of each of them.
        """
        self.memory = self._kept(self.memory, words, memory)

    def _kept(self, kept: State, words: Tensor, memory: State) -> State:
        if memory is None:
            return None
        if isinstance(memory, Tensor):
            if kept is None:
                kept = memory.new_zeros(self.sizes.rows + 2, *memory.shape[1:])
            return kept.index_copy_(0, words, memory)
        before = (None,) * len(memory) if kept is None else kept
        pairs = zip(before, memory, strict=True)
        return tuple(self._kept(mine, words, part) for mine, part in pairs)

    def load(self, batch: PackedBatch, depth: Tensor | None) -> None:
        """Take a batch, all of it in one copy.

        Args:
            batch: At most as large as this.
            depth: Layer assigned to each word, ``[W]``, or None.
        """
        words, texts = batch.num_words, batch.num_sequences
        host = self._named(self._host)
        sentence, word = torch.from_numpy(batch.row_sequence), torch.from_numpy(batch.row_word)
        of_words = batch.word_sequence.cpu()
        _fill(host["ids"], batch.input_ids)
        _fill(host["positions"], batch.positions)
        _fill(host["parts"], batch.segments)
        _fill(host["row_word"], (word + 1).masked_fill(word < 0, self.sizes.rows + 1))
        _fill(host["row_sentence"], sentence + 1)
        _fill(host["row_bounds"], _ends(sentence, texts), len(sentence))
        _fill(host["first_row"], torch.from_numpy(batch.first_row) + 1)
        _fill(host["word_rows"], word[word >= 0].bincount(minlength=words), 1)
        _fill(host["word_sentence"], of_words + 1)
        _fill(host["word_place"], batch.word_position)
        _fill(host["word_item"], batch.word_item)
        _fill(host["word_bounds"], _ends(of_words, texts), words)
        _fill(host["depth"], depth)
        self._given.copy_(self._host, non_blocking=True)

    def _named(self, given: Tensor) -> dict[str, Tensor]:
        parts = given.split([*self._lengths.values()])
        return dict(zip(self._lengths, parts, strict=True))


def _fill(to: Tensor, values: Tensor | None, rest: int = 0) -> None:
    """Values from place 1 on, and something after them."""
    to[0] = 0
    count = 0 if values is None else len(values)
    if values is not None:
        to[1 : count + 1].copy_(values)
    to[count + 1 :].fill_(rest)


def _ends(sentence: Tensor, count: int) -> Tensor:
    """How many entries come before each sentence, and after the last, ``[count + 1]``."""
    sizes = sentence.bincount(minlength=count) if count else sentence.new_zeros(0)
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
