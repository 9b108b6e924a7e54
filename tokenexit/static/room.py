"""Memory of fixed size that one batch after another is computed in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.halting import PackedBatch
from tokenexit.static.counts import LateCounts


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
        numbers: Type of the states.
    """

    rows: int
    sentences: int
    width: int
    classes: int
    segments: int
    columns: int
    remembered: int
    numbers: torch.dtype


class Room:
    """Everything that segments read and write. Nothing here is ever made anew.

    The last row, word and sentence are nobody's: what is left over of a fixed shape points there.
    Row ``T`` belongs to word ``T``, which has left, and to sentence ``S``, which has no words;
    special tokens belong to word ``T + 1``, which never leaves.

    Args:
        sizes: How much of each.
        layers: Depth of the network.
        device: Where.
        behind: See ``LateCounts``.
    """

    def __init__(self, sizes: Sizes, layers: int, device: torch.device, behind: int = 1) -> None:
        self.sizes = sizes
        rows, sentences = sizes.rows, sizes.sentences

        def whole(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.long, device=device)

        def flags(count: int) -> Tensor:
            return torch.zeros(count, dtype=torch.bool, device=device)

        self._fields = {
            "ids": rows,
            "positions": rows + 1,
            "parts": rows,
            "row_word": rows + 1,
            "row_sentence": rows + 1,
            "row_bounds": sentences + 2,
            "first_row": rows + 1,
            "word_rows": rows + 1,
            "word_sentence": rows + 1,
            "word_place": rows + 1,
            "word_item": rows + 1,
            "word_bounds": sentences + 2,
            "depth": rows + 1,
        }
        total = sum(self._fields.values())
        on_gpu = device.type == "cuda"
        self._given = whole(total)
        self._host = torch.zeros(total, dtype=torch.long, pin_memory=on_gpu)
        for name, part in self._named(self._given).items():
            setattr(self, name, part)
        self.lines = torch.zeros(layers, sizes.columns, device=device)

        self.states = torch.zeros(rows + 1, sizes.width, dtype=sizes.numbers, device=device)
        self.past = torch.zeros(
            sizes.remembered, rows + 1, sizes.width, dtype=sizes.numbers, device=device
        )
        self.alive = flags(rows + 2)
        self.active, self.kept, self.live = flags(rows), flags(rows), flags(sentences + 1)
        self.active_before, self.kept_before = whole(sentences + 2), whole(sentences + 2)
        self.words_before = whole(sentences + 2)
        self.times_sure, self.last = whole(rows + 1), whole(rows + 1)
        self.told = torch.zeros(rows + 1, device=device)
        wide = torch.promote_types(sizes.numbers, torch.float32)
        self.logits = torch.zeros(rows + 1, sizes.classes, dtype=wide, device=device)
        self.exit_layer = whole(rows + 1)
        self.counts = LateCounts(sizes.segments, device, behind)

    ids: Tensor
    """Vocabulary ids, ``[T]``."""
    positions: Tensor
    """Places of rows in their texts, ``[T + 1]``."""
    parts: Tensor
    """Which of two sentences rows belong to, ``[T]``."""
    row_word: Tensor
    """Word of each row, ``[T + 1]``."""
    row_sentence: Tensor
    """Sentence of each row, ``[T + 1]``."""
    row_bounds: Tensor
    """First row of each sentence, and of what comes after it, ``[S + 2]``."""
    first_row: Tensor
    """Row that decides for each word, ``[T + 1]``."""
    word_rows: Tensor
    """How many rows each word has, ``[T + 1]``."""
    word_sentence: Tensor
    """Sentence of each word, ``[T + 1]``."""
    word_place: Tensor
    """Its place there, ``[T + 1]``."""
    word_item: Tensor
    """Vocabulary id of its first row, ``[T + 1]``."""
    word_bounds: Tensor
    """First word of each sentence, and of what comes after it, ``[S + 2]``."""
    depth: Tensor
    """Layer assigned to each word, ``[T + 1]``."""

    def load(self, batch: PackedBatch, depth: Tensor | None) -> None:
        """Take a batch, all of it in one copy.

        Args:
            batch: At most as large as this.
            depth: Layer assigned to each word, ``[W]``, or None.
        """
        rows, words, texts = len(batch.row_word), batch.num_words, batch.num_sequences
        none, nowhere, special = self.sizes.rows, self.sizes.sentences, self.sizes.rows + 1
        host = self._named(self._host)
        sentence = torch.from_numpy(batch.row_sequence)
        word = torch.from_numpy(batch.row_word)
        _fill(host["ids"], batch.input_ids, 0)
        _fill(host["positions"], batch.positions, 0)
        _fill(host["parts"], batch.segments, 0)
        _fill(host["row_word"], word.masked_fill(word < 0, special), none)
        _fill(host["row_sentence"], sentence, nowhere)
        _fill(host["row_bounds"], _bounds(sentence, texts), rows)
        of_words = batch.word_sequence.cpu()
        _fill(host["first_row"], torch.from_numpy(batch.first_row), none)
        _fill(host["word_rows"], word[word >= 0].bincount(minlength=words), 1)
        _fill(host["word_sentence"], of_words, nowhere)
        _fill(host["word_place"], batch.word_position, 0)
        _fill(host["word_item"], batch.word_item, 0)
        _fill(host["word_bounds"], _bounds(of_words, texts), words)
        _fill(host["depth"], depth, 0)
        self._given.copy_(self._host, non_blocking=True)

    def _named(self, given: Tensor) -> dict[str, Tensor]:
        parts = given.split([*self._fields.values()])
        return dict(zip(self._fields, parts, strict=True))


def _fill(to: Tensor, values: Tensor | None, rest: int) -> None:
    count = 0 if values is None else len(values)
    if values is not None:
        to[:count].copy_(values)
    to[count:].fill_(rest)


def _bounds(sentence: Tensor, count: int) -> Tensor:
    """First entry of each sentence, and of what comes after the last, ``[count + 1]``."""
    sizes = sentence.bincount(minlength=count) if count else sentence.new_zeros(0)
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
