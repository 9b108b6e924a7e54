"""Texts as long arrays of 32-bit integers, the way compiled kernels read them.

What is said of a row or a word is relative to its sequence, so sentences are laid end to end as
they are, and a batch is a stretch of the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenexit.halting.sentence import Ints, Sentence


@dataclass(frozen=True, eq=False)
class FlatTexts:
    """Sentences laid end to end, in their order; ``S`` sequences, ``T`` rows, ``W`` words.

    Attributes:
        sentences: What was laid.
        row_start: Where each begins, ``[S + 1]``.
        word_start: Where its words begin, ``[S + 1]``.
        ids: ``[T]``.
        row_word: ``[T]``.
        first: ``[W]``.
        segments: ``[T]`` or None.
    """

    sentences: Sequence[Sentence]
    row_start: Ints
    word_start: Ints
    ids: Ints
    row_word: Ints
    first: Ints
    segments: Ints | None

    @property
    def num_words(self) -> int:
        """Words, ``W``."""
        return len(self.first)

    @cached_property
    def sequence(self) -> NDArray[np.int64]:
        """Sequence of each word, ``[W]``."""
        return np.repeat(np.arange(len(self.sentences)), np.diff(self.word_start))

    @cached_property
    def position(self) -> NDArray[np.int64]:
        """Place of each word in its sequence, ``[W]``."""
        if len(self.sentences) == 1:
            return np.arange(self.num_words)
        return np.arange(self.num_words) - self.word_start[self.sequence]

    @cached_property
    def item(self) -> NDArray[np.int64]:
        """Vocabulary id of each word's first sub-word, or its sentence's item, ``[W]``."""
        items = self.ids[self.row_start[self.sequence] + self.first].astype(np.int64)
        for place, sentence in enumerate(self.sentences):
            if sentence.item is not None:
                items[self.word_start[place] : self.word_start[place + 1]] = sentence.item
        return items

    @cached_property
    def target(self) -> NDArray[np.int64] | NDArray[np.float32] | None:
        """Gold class or value of each word, -100 where unknown, ``[W]``; None without labels."""
        if all(sentence.targets is None for sentence in self.sentences):
            return None
        gold: list[float] = []
        for sentence in self.sentences:
            gold.extend(sentence.targets or [-100] * len(sentence.word_rows))
        valued = any(isinstance(target, float) for target in gold)
        return np.array(gold, dtype=np.float32) if valued else np.array(gold, dtype=np.int64)

    def part(self, numbers: range) -> FlatTexts:
        """A stretch of the sentences."""
        return lay(self.sentences[numbers.start : numbers.stop])


def lay(sentences: Sequence[Sentence]) -> FlatTexts:
    """Lay sentences end to end."""
    flat = [sentence.flat for sentence in sentences]
    if len(flat) == 1:  # one by one, nothing need be joined
        alone = flat[0]
        rows, words = alone.ends
        return FlatTexts(
            sentences, rows, words, alone.ids, alone.row_word, alone.first, alone.segments
        )
    segments = None
    if any(part.segments is not None for part in flat):
        segments = _joined(
            [np.zeros_like(p.ids) if p.segments is None else p.segments for p in flat]
        )
    return FlatTexts(
        sentences,
        _starts([len(part.ids) for part in flat]),
        _starts([len(part.first) for part in flat]),
        _joined([part.ids for part in flat]),
        _joined([part.row_word for part in flat]),
        _joined([part.first for part in flat]),
        segments,
    )


def _starts(counts: list[int]) -> Ints:
    starts = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=starts[1:])
    return starts


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
