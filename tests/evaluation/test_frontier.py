"""The frontier, its area, quality at a saving, and the ELUE score, against sums done by hand."""

from __future__ import annotations

import math

import pytest

from tokenexit.evaluation.elue import elue_score
from tokenexit.evaluation.frontier import Frontier, at_speeds, fastest_keeping, frontier

# 0.6 costs as much as another and is worse, 0.7 costs more and is no better.
POINTS = [(1.0, 0.9), (0.25, 0.5), (0.5, 0.8), (0.5, 0.6), (0.7, 0.8)]


def test_only_what_no_cheaper_setting_equals_is_kept():
    assert frontier(POINTS) == Frontier((0.25, 0.5, 1.0), (0.5, 0.8, 0.9))


def test_the_order_of_points_does_not_matter():
    assert frontier(reversed(POINTS)) == frontier(POINTS)


def test_what_is_no_number_is_left_out():
    assert frontier([(math.nan, 1.0), (0.5, math.nan), (0.5, 0.4)]) == Frontier((0.5,), (0.4,))


@pytest.mark.parametrize(
    ("cost", "quality"),
    [
        (0.2, None),  # cheaper than anything measured
        (0.25, 0.5),
        (0.375, 0.65),  # half way from 0.5 to 0.8
        (0.75, 0.85),
        (1.3, 0.9),
    ],
)
def test_quality_for_a_budget(cost, quality):
    assert frontier(POINTS).at(cost) == (None if quality is None else pytest.approx(quality))


def test_quality_at_a_saving():
    found = at_speeds(frontier(POINTS))
    # Two thirds lie a third of the way from 0.5 to 1, one third a third of that from 0.25 to 0.5.
    assert found == {
        "1.5": pytest.approx(0.8 + 0.1 / 3),
        "2": pytest.approx(0.8),
        "3": pytest.approx(0.6),
    }
    assert at_speeds(frontier([(0.4, 0.7)]))["3"] is None
    assert at_speeds(frontier([]))["1.5"] is None


def test_area_is_the_mean_quality_over_budgets():
    # 0.25..0.5 at 0.65 on average, 0.5..1 at 0.85: 0.1625 + 0.425; before it, from the guess
    # 0.1 at cost 0 to 0.5 at 0.25: 0.42 at 0.2, so 0.05 * 0.46 = 0.023.
    whole = 0.023 + 0.1625 + 0.425
    assert frontier(POINTS).area(guess=0.1) == pytest.approx(whole / 0.8)


def test_area_of_one_setting():
    # Level above it, and a line from the guess below: 0.2..0.5 from 0.36 to 0.9.
    assert frontier([(0.5, 0.9)]).area() == pytest.approx((0.3 * 0.63 + 0.5 * 0.9) / 0.8)
    assert frontier([(0.1, 0.9)]).area() == pytest.approx(0.9)
    assert frontier([]).area(guess=0.25) == pytest.approx(0.25)


def test_a_guess_beats_settings_that_are_worse():
    assert frontier([(0.3, 0.2), (1.0, 0.8)]).area(guess=0.5, low=0.0) == pytest.approx(0.65)


def test_a_better_frontier_has_more_area():
    better = [*POINTS, (0.3, 0.7)]
    assert frontier(better).area() > frontier(POINTS).area()
    assert frontier([*POINTS, (0.9, 0.1)]).area() == frontier(POINTS).area()


def test_the_largest_saving_that_keeps_a_quality():
    points = [(1.0, 0.9), (1.6, 0.895), (2.4, 0.88), (1.9, 0.892)]
    assert fastest_keeping(points, 0.99 * 0.9) == 1.9
    assert fastest_keeping(points, 0.95) is None


def test_elue_score_is_the_mean_gain_at_equal_cost():
    reference = Frontier((0.0, 0.5, 1.0), (0.3, 0.7, 0.9))
    # Against 0.5 at 0.25, 0.8 at 0.75 and 0.9 at 1: gains of 0.1, 0.05 and -0.03.
    points = [(0.25, 0.6), (0.75, 0.85), (1.0, 0.87)]
    assert elue_score(points, reference) == pytest.approx(0.04)
    assert elue_score([(0.25, 0.5), (0.75, 0.8)], reference) == pytest.approx(0)


def test_elue_score_leaves_out_what_the_reference_does_not_reach():
    reference = frontier([(0.5, 0.7)])
    assert elue_score([(0.4, 0.9), (0.6, 0.8)], reference) == pytest.approx(0.1)
    assert elue_score([(0.4, 0.9)], reference) is None
