"""Who goes next: full segments first, and nobody is passed over for ever."""

from __future__ import annotations

import random

import pytest

from tokenexit.decoding.by_depth import Schedule, check_batching
from tokenexit.errors import UserError


def test_the_deepest_full_segment_goes_first():
    schedule = Schedule(3, 2, 10)
    schedule.wait(0, [0, 1, 2])
    schedule.wait(1, [5, 4])
    first, second = schedule.next(), schedule.next()
    assert (first.segment, first.rows) == (1, (4, 5))
    assert (second.segment, second.rows) == (0, (0, 1))
    schedule.wait(2, [7])
    assert schedule.next().segment == 2  # of equally many, the deepest
    assert schedule.next().rows == (2,)
    assert len(schedule) == 0


def test_few_wait_for_others():
    schedule = Schedule(2, 4, 3)
    schedule.wait(1, [9])
    schedule.wait(0, [0, 1])
    assert schedule.next().segment == 0
    schedule.wait(0, [0, 1])
    assert schedule.next().segment == 0
    schedule.wait(1, [0, 1])
    found = schedule.next()
    assert (found.segment, found.rows, found.waited) == (1, (0, 1, 9), 2)


def test_a_row_that_is_due_decides():
    schedule = Schedule(2, 4, 3)
    schedule.wait(1, [9])
    for _ in range(3):
        schedule.wait(0, [0, 1, 2, 3])
        assert schedule.next().segment == 0
    schedule.wait(0, [0, 1, 2, 3])
    assert schedule.next().rows == (9,)


@pytest.mark.parametrize("max_wait", [0, 1, 5, 30])
@pytest.mark.parametrize(("rows", "batch"), [(1, 1), (8, 1), (8, 8), (20, 4), (64, 32)])
@pytest.mark.parametrize("segments", [1, 3, 12])
def test_the_bound_on_waiting_holds(segments, rows, batch, max_wait):
    draw = random.Random(segments * 1000 + rows * 10 + max_wait)
    schedule, longest = Schedule(segments, batch, max_wait), 0
    schedule.wait(0, range(rows))
    for _ in range(2000):
        found = schedule.next()
        assert 1 <= len(found.rows) <= batch
        assert list(found.rows) == sorted(set(found.rows))
        longest = max(longest, found.waited)
        on = [row for row in found.rows if found.segment + 1 < segments and draw.random() < 0.6]
        schedule.wait(found.segment + 1, on) if on else None
        schedule.wait(0, set(found.rows) - set(on))
        assert len(schedule) == rows
    assert longest <= max_wait + segments + rows / batch


def test_without_a_bound_somebody_waits_for_ever():
    """Or the test above would hold of anything."""
    schedule = Schedule(2, 2, 10**9)
    schedule.wait(1, [9])
    for _ in range(200):
        schedule.wait(0, [0, 1])
        assert schedule.next().segment == 0


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((4, -1, None), "max_wait is a number of rounds from 0"),
        ((4, True, None), "max_wait"),
        ((4, 1.5, None), "max_wait"),
        ((4, 2, 3), "slots is how many texts are in flight.*batch_size=4, not 3"),
        ((4, 2, "8"), "slots"),
    ],
)
def test_numbers_that_no_schedule_has(told, said):
    with pytest.raises(UserError, match=said):
        check_batching(*told)


def test_twice_the_batch_is_in_flight():
    assert check_batching(4, 0, None) == 8
    assert check_batching(4, 0, 4) == 4
