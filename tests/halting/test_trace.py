"""Traces: they add up, whatever the parts, and are saved as plain tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit.halting import LayerWork, Trace, add_work, merge
from tokenexit.halting.trace import WORD_FIELDS


def make_trace(texts: list[int], seed: int = 0, layers: int = 4) -> Trace:
    """Words of some texts (one entry a word), with random contents."""
    random = np.random.default_rng(seed)
    words = len(texts)
    position = [texts[:place].count(text) for place, text in enumerate(texts)]
    return Trace(
        text=np.array(texts, dtype=np.int64),
        position=np.array(position, dtype=np.int64),
        exit_layer=random.integers(1, layers + 1, words),
        prediction=random.integers(0, 3, words),
        confidence=random.random(words, dtype=np.float32),
        gold=random.integers(0, 3, words),
        log_probs=random.random((words, 3), dtype=np.float32),
        lengths=random.integers(2, 9, len(set(texts))),
        work=tuple(LayerWork(*random.integers(0, 99, 9).tolist()) for _ in range(layers)),
        num_layers=layers,
    )


def take(trace: Trace, mask: Any) -> Trace:
    """Part of a trace; its lengths and work are those of the whole."""
    return replace(trace, **{name: getattr(trace, name)[mask] for name in WORD_FIELDS})


def check_equal(first: Trace, second: Trace) -> None:
    for name in WORD_FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    shares=st.lists(st.integers(0, 2), min_size=6, max_size=6),
)
def test_parts_in_any_order_make_the_whole(sizes, shares):
    """Texts dealt out to three processes, a process without any among them perhaps."""
    whole = make_trace([text for text, size in enumerate(sizes) for _ in range(size)])
    dealt = np.array(shares)[whole.text]
    parts = [take(whole, dealt == share) for share in (2, 0, 1)]
    joined = merge(parts)
    check_equal(joined, whole)
    assert joined.work == add_work(add_work(whole.work, whole.work), whole.work)
    assert sorted(joined.lengths) == sorted([*whole.lengths] * 3)
    assert joined.num_layers == whole.num_layers


def test_merging_one_trace_changes_nothing():
    whole = make_trace([0, 0, 1, 3])
    joined = merge([whole])
    check_equal(joined, whole)
    assert joined.work == whole.work


def test_words_of_one_text_may_come_in_parts():
    whole = make_trace([0, 0, 0, 1])
    check_equal(merge([take(whole, slice(2, None)), take(whole, slice(0, 2))]), whole)


def test_work_adds_field_by_field():
    numbers = range(1, len(LayerWork._fields) + 1)
    one, two = LayerWork(*numbers), LayerWork(*(10 * n for n in numbers))
    assert one + two == LayerWork(*(11 * n for n in numbers))
    assert one + LayerWork() == one
    assert add_work((one, two), (two, one)) == (one + two, one + two)


def test_histogram_and_mean():
    trace = replace(make_trace([0] * 5), exit_layer=np.array([1, 3, 3, 4, 1]))
    assert trace.histogram == [2, 0, 2, 1]
    assert sum(trace.histogram) == len(trace) == 5
    assert trace.mean_exit_layer == pytest.approx(12 / 5)
    assert replace(trace, exit_layer=np.array([2] * 5)).histogram == [0, 5, 0, 0]


def test_no_words():
    nothing = take(make_trace([0, 0]), slice(0, 0))
    assert nothing.histogram == [0, 0, 0, 0]
    assert nothing.mean_exit_layer == 0.0
    check_equal(merge([nothing, nothing]), nothing)


def test_saved_as_one_row_a_word(tmp_path: Path):
    trace, path = make_trace([0, 0, 1]), tmp_path / "traces" / "test.parquet"
    words = ["Ada", "“Lovelace”", "🙂"]
    trace.save(path, words)
    table = pq.read_table(path)
    assert table.column_names == [*WORD_FIELDS[:-1], "word"]  # without log-probabilities
    for name in WORD_FIELDS[:-1]:
        column = table[name].to_numpy()
        np.testing.assert_array_equal(column, getattr(trace, name))
        assert column.dtype == getattr(trace, name).dtype
    assert table["word"].to_pylist() == words


def test_saved_without_words(tmp_path: Path):
    take(make_trace([0]), slice(0, 0)).save(tmp_path / "none.parquet")
    table = pq.read_table(tmp_path / "none.parquet")
    assert (table.num_rows, "word" in table.column_names) == (0, False)
