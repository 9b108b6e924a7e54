"""Index arithmetic on the device against obvious loops on the host."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.halting import Sentence, pack
from tokenexit.static import buckets
from tokenexit.static.buckets import bucket, power, room_for
from tokenexit.static.counts import Counts, counts_at_start
from tokenexit.static.plan import Place, Plan, for_top, mark, plan
from tokenexit.static.room import Room, Sizes

texts = st.lists(st.lists(st.integers(1, 4), max_size=7), min_size=1, max_size=6)
several = settings(max_examples=60, deadline=None)


def loaded(sizes: list[list[int]], left: list[bool], halted: Any) -> tuple[Room, Any]:
    """Sentences of words of so many rows, framed, of which some words have left."""
    sentences = []
    for words in sizes:
        rows, start = [], 1
        for size in words:
            rows.append(list(range(start, start + size)))
            start += size
        sentences.append(Sentence([7] * (start + 1), rows))
    batch = pack(sentences)
    total = power(len(batch.row_word))
    room = Room(Sizes(total, 8, 4, 2, 3, 1, 0, 0, torch.float32), 3, torch.device("cpu"))
    room.load(batch, None)
    torch.gt(room.word_sentence, 0, out=room.alive)
    room.alive[total + 1 :].fill_(True)
    for word in range(batch.num_words):
        room.alive[word + 1] &= not left[word % len(left)]
    mark(room, halted, 1)
    return room, batch


def expected(room: Room, batch: Any, halted: str) -> list[tuple[list[int], list[int], list[int]]]:
    """Words, rows that ask and rows that are read of each sentence that is left, by loops."""
    found = []
    alive = room.alive.tolist()
    for number in range(batch.num_sequences):
        words = [
            word + 1
            for word in range(batch.num_words)
            if int(batch.word_sequence[word]) == number and alive[word + 1]
        ]
        mine = [row for row, s in enumerate(batch.row_sequence) if s == number]
        asking = [
            row + 1 for row in mine if batch.row_word[row] < 0 or alive[batch.row_word[row] + 1]
        ]
        if words:
            found.append((words, asking, [r + 1 for r in mine] if halted == "copy" else asking))
    return found


def laid_out(place: Place) -> list[list[int]]:
    """Rows of each sentence of the grid."""
    return [
        [int(place.rows[cell]) for cell in line if int(place.rows[cell])] for line in place.grid
    ]


def check_cells(place: Place) -> None:
    """Whoever reads back gets what was found for them."""
    flat: Tensor = place.grid.flatten()
    for number, row in enumerate(place.rows.tolist()):
        if row:
            assert int(flat[place.out[number]]) == number


def check_offsets(met: Plan, want: list[tuple[list[int], list[int]]]) -> None:
    """Laid end to end, the first sentence is nobody's and the others are those that are left."""
    found = []
    pairs = [line[n:].tolist() for line in met.offsets for n in (0, 1)]
    for start, end, first, last in zip(*pairs, strict=False):
        mine = met.asking.rows[start:end].tolist(), met.read.rows[first:last].tolist()
        found += [mine] if mine[0] else []
    assert found == [([0], [0]), *want]


@several
@given(
    sizes=texts,
    left=st.lists(st.booleans(), min_size=1, max_size=9),
    halted=st.sampled_from(["copy", "drop"]),
)
def test_plans_and_counts(sizes, left, halted):
    room, batch = loaded(sizes, left, halted)
    want = expected(room, batch, halted)
    counts = Counts(*room.counts.counted[1].tolist())
    assert counts == Counts(
        words=sum(len(words) for words, _, _ in want),
        rows=sum(len(asking) for _, asking, _ in want),
        kept=sum(len(read) for _, _, read in want),
        sentences=len(want),
        most_words=max((len(words) for words, _, _ in want), default=0),
        queries=max((len(asking) for _, asking, _ in want), default=0),
        keys=max((len(read) for _, _, read in want), default=0),
        top_pairs=sum(len(words) * len(read) for words, _, read in want),
        pairs=sum(len(asking) * len(read) for _, asking, read in want),
        squares=sum(len(read) ** 2 for _, _, read in want),
    )
    shape = counts.shape()
    met = plan(room, shape)
    assert [word for word in met.words.tolist() if word] == [w for ws, _, _ in want for w in ws]
    none = [[]] * (shape.sentences - len(want))
    assert laid_out(met.asking) == [asking for _, asking, _ in want] + none
    assert laid_out(met.read) == [read for _, _, read in want] + none
    assert met.mask.sum(dim=(1, 2, 3)).tolist() == [len(r) for _, _, r in want] + [1] * len(none)
    top = for_top(room, met)
    first = [[int(batch.first_row[word - 1]) + 1 for word in words] for words, _, _ in want]
    assert laid_out(top.asking) == first + none
    for place in (met.asking, met.read, top.asking):
        assert int(place.rows[0]) == 0
        check_cells(place)
    check_offsets(met, [(asking, read) for _, asking, read in want])
    check_offsets(top, [(f, read) for f, (_, _, read) in zip(first, want, strict=True)])


@several
@given(sizes=texts)
def test_the_host_knows_what_a_batch_begins_with(sizes):
    room, batch = loaded(sizes, [False], "copy")
    assert counts_at_start(batch) == Counts(*room.counts.counted[1].tolist())


@given(count=st.integers(0, 1 << 20))
def test_buckets_hold_and_waste_little(count):
    size = bucket(count)
    assert max(count, 1) <= size <= max(1.25 * count, count + 7)
    assert bucket(size) == size
    assert count <= power(count) < 2 * max(count, 1)


def test_few_shapes_of_batches_that_are_alike():
    """Batches of 32 texts of 8 to 60 words: what comes up is captured within a few of them."""
    random = torch.Generator().manual_seed(0)
    found = set()
    for _ in range(400):
        words = torch.randint(8, 61, (32,), generator=random)
        rows = (words * 1.3).long() + 2
        total, most, pairs = int(rows.sum()), int(rows.max()), int((rows * rows).sum())
        start = Counts(int(words.sum()), total, total, 32, 60, most, most, pairs, pairs, pairs)
        found.add(start.shape())
    assert len(found) <= 6


def test_few_buckets():
    assert len({bucket(count) for count in range(1 << 17)}) < 64


def test_more_rows_than_the_largest():
    assert room_for(buckets.MOST_ROWS) == buckets.MOST_ROWS
    with pytest.raises(UserError, match=r"131072 tokens at most.*131073.*smaller batch_size"):
        room_for(buckets.MOST_ROWS + 1)
