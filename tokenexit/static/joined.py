"""Rule and index arithmetic as two functions of tensors, for a compiler to make few kernels of.

``plan``, ``mark`` and ``halting`` in other words: each value is made once, and nothing is written
before it is known. All of it is arithmetic of whole numbers and truth
values, and one comparison, so that however it is compiled the results are the same bit for bit;
the numbers that are compared come from torch's own kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Form:
    """What the functions are made for.

    Attributes:
        low: Whether a word is sure below its threshold; else it is above.
        patience: At how many exits in a row it has to be.
        reach: Words on either side that have to be sure with it; -1 for all of its sentence.
        copied: Whether halted rows are still read.
    """

    low: bool
    patience: int
    reach: int
    copied: bool


def settle(
    form: Form,
    number: Tensor,
    limit: Tensor,
    words: Tensor,
    times_sure: Tensor,
    left: Tensor,
    upto: Tensor,
    before: Tensor,
    slot: Tensor,
    counted: Tensor,
    row_sentence: Tensor,
    row_word: Tensor,
    word_sentence: Tensor,
    word_bounds: Tensor,
    row_bounds: Tensor,
) -> None:
    """Let words leave, and note and count who is left; as ``halting`` and ``mark`` do.

    Args:
        form: How it is decided.
        number: Of each word that arrived, ``[N]``.
        limit: Threshold of each, ``[N]`` or ``[1]``.
        words: Their numbers, ``[N]``, nobody's among them.
        times_sure: Of all words, ``[T + 2]``; written, as are the next five.
        left: Who is left, ``[3, T + 2]``.
        upto: How many up to each, ``[3, T + 2]``.
        before: How many before each sentence, ``[3, S + 2]``.
        slot: How many live sentences up to each, ``[S + 2]``.
        counted: The counts of the segment, ``[10]``.
        row_sentence: See ``Room``; as the rest.
        row_word: Word of each row.
        word_sentence: Sentence of each word.
        word_bounds: How many words come before each sentence.
        row_bounds: How many rows.
    """
    alive, rows = left[0], left.shape[1] - 2
    halt = number < limit if form.low else number > limit
    if form.patience > 1:
        times = (times_sure[words] + 1) * halt
        times_sure.index_copy_(0, words, times)
        halt = times >= form.patience
    if form.reach:
        halt = halt & _neighbours_sure(form, halt, words, alive, word_sentence, word_bounds)
    there = alive.index_copy(0, words, ~halt)
    there = there & (torch.arange(rows + 2, device=there.device) > 0)  # nobody never is
    upto_words = there.cumsum(0)
    before_words = upto_words[word_bounds]
    of_words = before_words[1:] - before_words[:-1]
    live = of_words > 0
    read = live[row_sentence]
    asking = there[row_word] & read
    if not form.copied:
        read = asking
    upto_asking, upto_read = asking.cumsum(0), read.cumsum(0)
    before_asking, before_read = upto_asking[row_bounds], upto_read[row_bounds]
    of_asking = before_asking[1:] - before_asking[:-1]
    of_read = before_read[1:] - before_read[:-1]
    slots = live.cumsum(0)
    # One by one: of what is joined first, each part is copied once more.
    kinds = (there, asking, read), (upto_words, upto_asking, upto_read)
    for memory, made in zip((left, upto), kinds, strict=True):
        for kind, value in enumerate(made):
            memory[kind].copy_(value)
    for kind, value in enumerate((before_words, before_asking, before_read)):
        before[kind].copy_(value)
    slot[1:].copy_(slots)
    each = of_words, of_asking, of_read
    ends = [upto[rows] for upto in (upto_words, upto_asking, upto_read)]
    most, pairs = [one.amax() for one in each], [(one * of_read).sum() for one in each]
    for place, value in enumerate([*ends, slots[-1], *most, *pairs]):
        counted[place].copy_(value)


def _neighbours_sure(
    form: Form, sure: Tensor, words: Tensor, alive: Tensor, sentence: Tensor, bounds: Tensor
) -> Tensor:
    unsure = torch.zeros_like(alive).index_copy(0, words, ~sure).cumsum(0)
    own = sentence[words]
    start, end = bounds[own], bounds[own + 1]
    if form.reach > 0:
        start = torch.maximum(words - (form.reach + 1), start)
        end = torch.minimum(words + form.reach, end)
    return unsure[end] == unsure[start]


def arrange(
    num_rows: int,
    num_kept: int,
    num_words: int,
    sentences: int,
    queries: int,
    keys: int,
    left: Tensor,
    upto: Tensor,
    before: Tensor,
    slot: Tensor,
    numbers: Tensor,
    positions: Tensor,
    row_sentence: Tensor,
) -> tuple[Tensor, ...]:
    """All that layers of a segment ask a plan for; as ``plan`` and its places do.

    Args:
        num_rows: See ``Shape``; as the next five, one by one for a compiler to see as unknowns.
        num_kept: Rows that are read.
        num_words: Words.
        sentences: Sentences.
        queries: Rows that ask, of one sentence.
        keys: Rows that are read, of one sentence.
        left: Who is left, ``[3, T + 2]``; as ``settle`` has noted it, and so the next three.
        upto: How many up to each.
        before: How many before each sentence.
        slot: How many live sentences up to each.
        numbers: From 0 up.
        positions: Places of rows in their texts.
        row_sentence: Sentence of each row.

    Returns:
        Words, rows that ask and rows that are read; their places in their texts, their cells and
        their grids, of each kind of rows; and which keys are real.
    """
    rows = row_sentence.shape[0] - 1
    left = left[:, :rows]
    slots, names = upto[:, :rows] * left, numbers[:rows] * left
    words, asking, read = (
        slots.new_zeros(count).scatter(0, slots[kind], names[kind])
        for kind, count in enumerate((num_words, num_rows, num_kept))
    )
    found = []
    for kind, listed, width in ((1, asking, queries), (2, read, keys)):
        shift = before[kind, :-1] - slot[:-1] * width
        cell = (upto[kind] - shift[row_sentence])[listed]
        empty = cell.new_zeros(sentences * width + 1)
        grid = empty.scatter(0, cell, numbers[: len(listed)])[1:]
        found += [positions[listed], cell, grid.view(sentences, width)]
    first = torch.arange(keys, device=left.device) == 0
    mask = (found[-1] > 0) | first
    return words, asking, read, *found, mask[:, None, None]
