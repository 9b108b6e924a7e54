"""One text as a model reads it, and the same as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class FlatSentence:
    """One sentence; ``n`` rows, ``w`` words.

    Attributes:
        ends: ``row_start`` and ``word_start`` of ``FlatTexts``, if it stands alone, ``[2, 2]``.
        ids: Vocabulary ids, ``[n]``.
        row_word: Word of each row, -1 for special tokens, ``[n]``.
        first: Row that decides for each word, ``[w]``.
        segments: Which of two sentences each row belongs to, ``[n]``, or None.
    """

    ends: Ints
    ids: Ints
    row_word: Ints
    first: Ints
    segments: Ints | None


@dataclass(frozen=True, eq=False)
class Sentence:
    """One text as the model reads it.

    Attributes:
        input_ids: Vocabulary ids, special tokens included.
        word_rows: For each word, the places of its sub-words; never empty.
        targets: Gold class of each word, or a float to learn, -100 where unknown; None without
            labels.
        segments: Which of two sentences each token belongs to; None where nobody asks.
        item: By what a text that leaves as a whole is known; None for the id of each word.
        depths: Layer to which each token is computed, for reducers that read depths; None where
            nobody asks.
    """

    input_ids: Sequence[int]
    word_rows: Sequence[Sequence[int]]
    targets: Sequence[float] | None = None
    segments: Sequence[int] | None = None
    item: int | None = None
    depths: Sequence[int] | None = None

    def unlabelled(self) -> Self:
        """The same with nothing to learn."""
        return replace(self, targets=[-100] * len(self.word_rows))

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.input_ids)

    @cached_property
    def flat(self) -> FlatSentence:
        """The same as arrays, for compiled kernels."""
        return _flatten(self)


def _flatten(sentence: Sentence) -> FlatSentence:
    """A sentence as arrays."""
    count, words = len(sentence.input_ids), sentence.word_rows
    row_word = [-1] * count
    for word, rows in enumerate(words):
        for row in rows:
            row_word[row] = word
    segments = sentence.segments
    return FlatSentence(
        np.array([[0, count], [0, len(words)]], dtype=np.int32),
        np.array(sentence.input_ids, dtype=np.int32),
        np.array(row_word, dtype=np.int32),
        np.array([rows[0] for rows in words], dtype=np.int32),
        None if segments is None else np.array(segments, dtype=np.int32),
    )
