"""Sentences in one flat matrix, and the groups in which they attend."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit.halting import Sentence, pack
from tokenexit.halting.layout import FILL, arrange


def test_longest_first_and_ties_in_order():
    batch = pack(
        [
            Sentence([2, 7, 3], [[1]], [4]),
            Sentence([2, 8, 9, 3], [[1, 2]]),
            Sentence([2, 3], []),
            Sentence([2, 5, 3], [[1]], [-100]),
        ]
    )
    assert batch.order.tolist() == [1, 0, 3, 2]
    assert batch.lengths.tolist() == [4, 3, 3, 2]
    assert batch.input_ids.tolist() == [2, 8, 9, 3, 2, 7, 3, 2, 5, 3, 2, 3]
    assert batch.positions.tolist() == [0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 0, 1]
    assert batch.row_word.tolist() == [-1, 0, 0, -1, -1, 1, -1, -1, 2, -1, -1, -1]
    assert batch.row_sequence.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert batch.first_row.tolist() == [1, 5, 8]
    assert batch.word_sequence.tolist() == [0, 1, 2]
    assert batch.word_position.tolist() == [0, 0, 0]
    assert batch.word_item.tolist() == [8, 7, 5]
    assert batch.word_target is not None
    assert batch.word_target.tolist() == [-100, 4, -100]  # without labels: unknown
    assert (batch.num_words, batch.num_sequences, batch.extent) == (3, 4, 1)


def test_without_labels_there_are_no_targets():
    assert pack([Sentence([2, 7, 3], [[1]])]).word_target is None


@pytest.mark.parametrize("sentences", [[], [Sentence([2, 3], [])]])
def test_no_words(sentences):
    batch = pack(sentences)
    assert (batch.num_words, batch.num_sequences, batch.extent) == (0, len(sentences), 0)
    assert batch.first_row.dtype == batch.row_word.dtype == np.int64


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_row_attends_in_its_own_sentence_once(data):
    attended = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=7))
    asking = [data.draw(st.integers(1, length)) for length in attended]
    absorbed = [data.draw(st.booleans()) for _ in attended]
    layout = arrange(np.array(asking), np.array(attended), np.array(absorbed), "cpu")

    # Rows of either side, told apart by their sentence.
    queries = torch.repeat_interleave(torch.tensor(asking))
    rows = torch.repeat_interleave(torch.tensor(attended))
    kept = rows if layout.projected is None else rows[layout.projected]
    assert layout.num_projected == sum(n for n, a in zip(attended, absorbed, strict=True) if not a)
    found, pairs = [], {True: 0, False: 0}
    for group in layout.groups:
        source = rows if group.absorbed else kept
        shape = (group.size, -1)
        asks = (
            queries[group.query_slice].reshape(shape)
            if group.query_slice is not None
            else queries[group.query_index]
        )
        answers = (
            source[group.key_slice].reshape(shape)
            if group.key_slice is not None
            else source[group.key_index]
        )
        assert asks.shape == (group.size, group.queries)
        assert answers.shape == (group.size, group.keys)
        assert (asks == asks[:, :1]).all(), "one sentence a row, padding included"
        assert (answers == asks[:, :1]).all()
        real = group.key_mask[:, 0, 0] if group.key_mask is not None else answers >= 0
        for sentence, count in zip(asks[:, 0].tolist(), real.sum(-1).tolist(), strict=True):
            assert count == attended[sentence]
            assert absorbed[sentence] == group.absorbed
            # Padding stays narrow.
            assert attended[sentence] >= FILL * group.keys
            pairs[group.absorbed] += count * asking[sentence]
        flat = asks.flatten()
        found.append(flat if group.valid is None else flat[group.valid])
    joined = torch.cat(found)
    back = joined if layout.inverse is None else joined[layout.inverse]
    assert torch.equal(back, queries)
    assert pairs == {False: layout.pairs, True: layout.absorbed_pairs}
    assert layout.absorbed_rows == sum(m for m, a in zip(asking, absorbed, strict=True) if a)
