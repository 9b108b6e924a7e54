"""What an account with stated costs says of rows that wait: figures, and that it is honest."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tokenexit.decoding.by_depth.choose import candidates, fastest
from tokenexit.decoding.by_depth.simulate import H200, by_depth, fixed_batch, full_depth, geometric

THIRD = geometric(4, 12)
"""Depths of 12 layers that are a third on average."""

EXITS = ((4,), (4, 8), (3, 6), (2, 4, 6, 8))


def test_depths_are_a_third_on_average():
    chance = random.Random(0)
    depths = [THIRD(chance) for _ in range(20_000)]
    assert sum(depths) / len(depths) == pytest.approx(3.87, abs=0.05)
    assert {min(depths), max(depths)} == {1, 12}


@pytest.mark.parametrize(("rows", "ms"), [(1, 0.82), (32, 0.97), (128, 0.97 + 96 * 0.15 / 31)])
def test_costs_are_those_that_were_measured_and_a_line_beyond(rows, ms):
    assert H200.full_step(rows) == pytest.approx(ms)
    assert H200.segment(12, rows) == pytest.approx(ms)
    assert H200.segment(3, rows) == pytest.approx(ms / 4)


@pytest.mark.parametrize(
    ("batch", "every", "ms"),
    [(1, 1, 0.80), (1, 2, 0.65), (1, 4, 0.61), (32, 1, 2.18), (32, 2, 1.54), (32, 4, 1.23)],
)
def test_the_account_is_near_what_was_measured_of_fixed_batches(batch, every, ms):
    """A prototype on the card that the costs are of: each row at its own depth, mean L/3."""
    exits = range(every, 12, every)
    found = fixed_batch(H200, exits, batch, THIRD).ms_per_token * batch
    assert found == pytest.approx(ms, rel=0.15)


@pytest.mark.parametrize("batch", [1, 32, 128])
def test_never_slower_than_full_depth(batch):
    choices = candidates(H200, EXITS, batch, 2 * batch, THIRD)
    assert choices[0].over_full == 1.0
    assert fastest(choices).over_full >= 1.0
    deep = candidates(H200, EXITS, batch, 2 * batch, lambda chance: 12)
    assert fastest(deep).batching == "full_depth"  # who always goes to the top gains nothing


@pytest.mark.parametrize(("batch", "wanted"), [(1, 1.2), (32, 1.1), (128, 1.3)])
def test_what_is_asked_of_each_row_at_its_own_depth(batch, wanted):
    """Over full depth in batches of the same size, with twice as many texts in flight."""
    best = fastest(candidates(H200, EXITS, batch, 2 * batch, THIRD))
    assert best.over_full >= wanted
    assert best.account.longest_wait <= (best.max_wait or 0) + 5 + 2


def test_fixed_batches_lose_where_rows_that_wait_gain():
    """The reason for it: in a batch of 32 the deepest row decides."""
    batch = fixed_batch(H200, (4, 8), 32, THIRD)
    waiting = by_depth(H200, (4, 8), 32, THIRD, slots=64, max_wait=16)
    deep = full_depth(H200, 32)
    assert batch.ms_per_token > deep.ms_per_token > 1.2 * waiting.ms_per_token
    assert waiting.rows > 30


def test_the_longer_the_wait_the_fuller_the_rounds():
    rows = [
        by_depth(H200, (2, 4, 6, 8), 32, THIRD, slots=64, max_wait=wait).rows for wait in (0, 4, 16)
    ]
    assert rows == sorted(rows)
    assert rows[0] < 0.85 * rows[-1]


def test_free_decisions_would_pay_even_over_one_large_batch():
    free = replace(H200, decision=0.0, copy=0.0, planning=0.0)
    best = fastest(candidates(free, EXITS, 32, 64, THIRD))
    assert best.batching == "by_depth"
    assert best.over_full > 2
    assert best.over_all > 1.2


def test_with_memory_for_all_texts_in_one_batch_full_depth_is_faster_at_32():
    """Said honestly: what is gained is gained over batches of the same size, not of all texts."""
    choices = candidates(H200, EXITS, 32, 64, THIRD)
    assert all(choice.over_all < 1 for choice in choices if choice.batching == "by_depth")
    many = candidates(H200, EXITS, 128, 256, THIRD)
    best = max(choice.over_all for choice in many if choice.batching == "by_depth")
    assert best == pytest.approx(1.0, abs=0.05)


def test_with_no_more_texts_than_the_batch_full_depth_is_chosen_at_32():
    choice = fastest(candidates(H200, EXITS, 32, 32, THIRD))
    assert (choice.batching, choice.over_full) == ("full_depth", 1.0)
