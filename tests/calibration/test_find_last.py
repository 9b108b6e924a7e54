"""The search for the last setting that keeps the promise, by few real runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokenexit.calibration.by_table import RUNS, find_last
from tokenexit.calibration.simulate import SimulatedSetting


def runs(count, start, last):
    """Settings tried among ``count``, of which those up to ``last`` keep the promise."""
    tried: list[int] = []

    def keeps(value):
        tried.append(int(value))
        return value <= last

    find_last([SimulatedSetting(float(i), 0.0, 1.0) for i in range(count)], start, keeps)
    return tried


@st.composite
def searches(draw, longest=64):
    count = draw(st.integers(1, longest))
    return count, draw(st.integers(0, count - 1)), draw(st.integers(-1, count - 1))


@given(searches())
def test_the_budget_is_kept_and_well_spent(search):
    count, start, last = search
    tried = runs(count, start, last)
    assert 1 <= len(tried) <= RUNS
    assert tried[0] == start
    assert len(set(tried)) == len(tried)  # nothing is run twice
    assert all(0 <= place < count for place in tried)


@given(searches())
def test_it_stops_early_only_when_it_has_found_the_place(search):
    count, start, last = search
    tried = runs(count, start, last)
    good = max((p for p in tried if p <= last), default=-1)
    bad = min((p for p in tried if p > last), default=count)
    # What the runs have shown always brackets the place, and narrows while there are runs left.
    assert good <= last < bad
    if len(tried) < RUNS:
        assert bad - good == 1
        assert good == last


@given(searches(longest=9))
def test_a_short_list_is_searched_to_the_end(search):
    count, start, last = search
    tried = runs(count, start, last)
    assert max((p for p in tried if p <= last), default=-1) == last


@given(searches(), st.integers(-3, 3))
def test_a_good_guess_is_mended(search, wrong_by):
    count, _, last = search
    start = min(max(last + wrong_by, 0), count - 1)
    tried = runs(count, start, last)
    assert max((p for p in tried if p <= last), default=-1) == last


def test_a_right_guess_costs_two_runs():
    assert runs(32, 10, 10) == [10, 11]
    assert runs(32, 31, 31) == [31]
    assert runs(32, 0, -1) == [0]
