"""Packed batches: every token row of every sentence in one flat matrix, no padding.

Index arithmetic is done here and in ``layout``, on the host in numpy; tensors are made from
its results. Two texts, ``[CLS] w`` and ``[CLS] u v`` (five rows, three words), the longer first::

    row              0      1      2      3      4
    token          [CLS]    u      v    [CLS]    w
    row_sequence     0      0      0      1      1       order = [1, 0], lengths = [3, 2]
    positions        0      1      2      0      1
    row_word        -1      0      1     -1      2
    word_of_row      3      0      1      3      2       W = 3 stands for "no word"

    word             0      1      2
    first_row        1      2      4                     where each word is classified
    word_sequence    0      0      1
    word_position    0      1      0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.halting.sentence import Sentence
from tokenexit.transfer import send

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """Sentences laid end to end, longest first, so that neighbours have like lengths.

    Attributes:
        input_ids: ``[T]``.
        positions: Place of each token row in its sentence, ``[T]``.
        row_word: Word of each token row, -1 for special tokens, ``[T]`` (host).
        row_sequence: Sentence of each token row, ``[T]`` (host).
        lengths: Token rows of each sentence, ``[S]`` (host).
        first_row: Token row that decides for each word, ``[W]`` (host).
        word_sequence: Sentence of each word, ``[W]``.
        word_position: Place of each word in its sentence, ``[W]``.
        word_item: Vocabulary id of each word's first sub-word, or its sentence's item, ``[W]``.
        word_target: Gold class of each word, long, or float to learn; or None, ``[W]``.
        order: Original number of the sentence at each place, ``[S]`` (host).
        extent: Words of the longest sentence.
        segments: Which of two sentences each token row belongs to, ``[T]``, or None.
        labelled: Whether each word has a gold class, ``[W]`` (host); None without labels.
        known: Which words have one, ``[K]``; None without labels.
        first: ``first_row`` where the rest is computed, ``[W]``.
        word_of_row: ``row_word`` likewise, ``W`` for special tokens, ``[T]``.
        depths: Layer to which each token row is computed, ``[T]``, or None.
    """

    input_ids: Tensor
    positions: Tensor
    row_word: Index
    row_sequence: Index
    lengths: Index
    first_row: Index
    word_sequence: Tensor
    word_position: Tensor
    word_item: Tensor
    word_target: Tensor | None
    order: Index
    extent: int
    first: Tensor
    word_of_row: Tensor
    segments: Tensor | None = None
    labelled: Mask | None = None
    known: Tensor | None = None
    depths: Tensor | None = None

    @property
    def num_words(self) -> int:
        """Words in the batch, ``W``."""
        return len(self.first_row)

    @property
    def num_sequences(self) -> int:
        """Sentences in the batch, ``S``."""
        return len(self.lengths)


def pack(sentences: Sequence[Sentence], device: torch.device | str = "cpu") -> PackedBatch:
    """Lay sentences end to end, longest first (ties keep their order)."""
    lengths = np.array([len(s.input_ids) for s in sentences], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    lengths = lengths[order]
    starts = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    ids = np.empty(total, dtype=np.int64)
    row_word = np.full(total, -1, dtype=np.int64)
    first_row: list[int] = []
    word_sequence: list[int] = []
    word_position: list[int] = []
    word_item: list[int] = []
    targets: list[float] = []
    paired = any(s.segments is not None for s in sentences)
    segments = np.zeros(total if paired else 0, dtype=np.int64)
    told = bool(sentences) and all(s.depths is not None for s in sentences)
    depths = np.zeros(total if told else 0, dtype=np.int64)
    labelled = any(s.targets is not None for s in sentences)
    for place, number in enumerate(order):
        sentence, start = sentences[number], int(starts[place])
        ids[start : start + len(sentence.input_ids)] = sentence.input_ids
        if sentence.segments is not None:
            segments[start : start + len(sentence.input_ids)] = sentence.segments
        if told and sentence.depths is not None:
            depths[start : start + len(sentence.input_ids)] = sentence.depths
        for position, rows in enumerate(sentence.word_rows):
            for row in rows:
                row_word[start + row] = len(first_row)
            first_row.append(start + rows[0])
            word_sequence.append(place)
            word_position.append(position)
            known = sentence.item
            word_item.append(sentence.input_ids[rows[0]] if known is None else known)
        if labelled:
            targets.extend(sentence.targets or [-100] * len(sentence.word_rows))
    row_sequence = np.repeat(np.arange(len(lengths)), lengths)
    gold = np.float32 if any(isinstance(target, float) for target in targets) else np.int64

    labels = np.asarray(targets, dtype=gold) if labelled else None
    with_gold = None if labels is None else labels != -100
    words = len(first_row)
    made: dict[str, Sequence[int] | Index] = {
        "input_ids": ids,
        "positions": np.arange(total) - starts[row_sequence],
        "word_sequence": word_sequence,
        "word_position": word_position,
        "word_item": word_item,
        "first": first_row,
        "word_of_row": np.where(row_word < 0, words, row_word),
    }
    if paired:
        made["segments"] = segments
    if told:
        made["depths"] = depths
    if with_gold is not None:
        made["known"] = np.flatnonzero(with_gold)
    tensors = [torch.from_numpy(np.asarray(values, dtype=np.int64)) for values in made.values()]
    if labels is not None:
        made["word_target"] = ()
        tensors.append(torch.from_numpy(labels))
    sent = dict(zip(made, send(tensors, device), strict=True))
    return PackedBatch(
        input_ids=sent["input_ids"],
        positions=sent["positions"],
        row_word=row_word,
        row_sequence=row_sequence,
        lengths=lengths,
        first_row=np.array(first_row, dtype=np.int64),
        word_sequence=sent["word_sequence"],
        word_position=sent["word_position"],
        word_item=sent["word_item"],
        word_target=sent.get("word_target"),
        order=order,
        extent=max(word_position, default=-1) + 1,
        first=sent["first"],
        word_of_row=sent["word_of_row"],
        segments=sent.get("segments"),
        labelled=with_gold,
        known=sent.get("known"),
        depths=sent.get("depths"),
    )
