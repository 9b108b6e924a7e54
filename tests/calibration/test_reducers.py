"""A reducer chosen by a quality to keep or a budget: by its threshold, or by a search."""

from __future__ import annotations

import random

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.rows.choose import calibrate_reducer
from tokenexit.calibration.rows.config import ReducerGoal
from tokenexit.calibration.rows.evolution import average, beginning, evolve, mutation
from tokenexit.calibration.rows.found import TriedReducer, best_of, frontier_of
from tokenexit.errors import UserError
from tokenexit.evaluation import evaluate
from tokenexit.policies.never import Never
from tokenexit.workflows.reducing import reduce_first


def tried(*pairs):
    return [TriedReducer({"n": n}, q, q, macs) for n, (macs, q) in enumerate(pairs)]


def test_the_frontier_and_the_choice_by_hand():
    points = tried((0.3, 0.90), (0.5, 0.97), (0.6, 0.96), (0.8, 0.995), (1.0, 0.99), (0.5, 0.80))
    assert [one.reducer["n"] for one in frontier_of(points)] == [0, 1, 3]
    cases = [
        ({}, 3, True),
        ({"min_quality": 0.95}, 1, True),
        ({"min_quality": 1.0}, 3, False),
        ({"speedup": 2.0}, 1, True),
        ({"speedup": 4.0}, 0, False),
        ({"min_quality": 0.95, "speedup": 2.0}, 1, True),
        ({"min_quality": 0.98, "speedup": 2.0}, 3, False),
    ]
    for asked, chosen, reached in cases:
        best, found = best_of(points, ReducerGoal("threshold", **asked))
        assert (best.reducer["n"], found) == (chosen, reached), asked


def test_children_by_hand():
    first = beginning(3, 0.8)
    assert len(first) == 20
    assert first[0] == pytest.approx((0.8, 0.64, 0.512))
    assert first[10] == pytest.approx((0.9, 0.81, 0.729))
    assert average((0.8, 0.6, 0.2), (0.4, 0.2, 0.1)) == pytest.approx((0.6, 0.4, 0.15))
    draw, parent = random.Random(0), (0.8, 0.6, 0.5, 0.1)
    found = [mutation(parent, draw) for _ in range(200)]
    for child in found:
        for place, share in enumerate(child):
            least = parent[place + 1] if place < 3 else 0.0
            assert least <= share <= (child[place - 1] if place else 1.0)
    kept = sum(a == b for child in found for a, b in zip(child, parent, strict=True))
    assert kept / 800 == pytest.approx(0.5, abs=0.06)


def test_a_search_keeps_to_the_frontier():
    """Of what is judged good, children come; here what keeps more in later layers is good."""
    seen = []

    def survivors(new):
        seen.append(len(new))
        judged.extend(new)
        return sorted(judged, key=lambda one: abs(one[1] - 0.42) + abs(one[0] - 0.9))[:5]

    judged: list[tuple[float, ...]] = []
    evolve(survivors, 2, ratio=0.5, rounds=6, children=10)
    assert seen == [20, *[20] * 6]
    best = min(judged, key=lambda one: abs(one[1] - 0.42) + abs(one[0] - 0.9))
    start = min(judged[:20], key=lambda one: abs(one[1] - 0.42) + abs(one[0] - 0.9))
    assert (
        abs(best[1] - 0.42) + abs(best[0] - 0.9) < (abs(start[1] - 0.42) + abs(start[0] - 0.9)) / 3
    )


@pytest.mark.slow
@pytest.mark.parametrize("by", ["threshold", "search"])
def test_a_budget_and_a_quality_are_kept(tagger, splits, by):
    split = splits["validation"].head(12)
    before = tagger.settings
    model = tagger.use_reducer("significance")
    goal = {"by": by, "settings": 6, "rounds": 1, "children": 3, "ratio": 0.5}
    budget = calibrate_reducer(model, split, ReducerGoal(**goal, speedup=1.3))
    assert budget.reached
    assert budget.chosen.mac_ratio <= 1 / 1.3
    assert all(
        one.relative_quality <= budget.chosen.relative_quality
        for one in budget.tried
        if one.mac_ratio <= 1 / 1.3
    )
    assert model.settings.reducer["ratio"] == 0.8  # as it was
    told = CalibrateConfig(min_quality=0.9, reducer=ReducerGoal(**goal))
    found, left = reduce_first(model, split, told, exits=True)
    assert found.goal["min_quality"] == pytest.approx(0.95)
    assert model.settings.reducer == found.reducer
    result, _ = evaluate(model, split, "validation", Never())
    assert result.quality == found.chosen.quality
    assert result.mac_ratio == found.chosen.mac_ratio
    assert left.min_quality == pytest.approx(min(0.9 / found.chosen.relative_quality, 1.0))
    model.use_reducer(None)
    assert evaluate(model, split, "validation", Never())[0].quality == found.quality_full
    tagger.settings = before


def test_what_cannot_be_tuned_is_told(tagger, splits):
    split = splits["validation"].head(2)
    with pytest.raises(UserError, match="no reducer to calibrate"):
        calibrate_reducer(tagger, split, ReducerGoal("threshold"))
    for asked, told in (
        ({"by": "serch"}, "Did you mean 'search'"),
        ({"min_quality": 0.9}, "say how"),
        ({"by": "search", "ratio": 1.0}, "ratio"),
        ({"by": "threshold", "speedup": 0.5}, "speedup"),
    ):
        with pytest.raises(UserError, match=told):
            ReducerGoal(**asked)
    with pytest.raises(UserError, match=r"calibrate\.risk"):
        CalibrateConfig(risk=0.1, reducer=ReducerGoal("threshold"))
    try:
        tagger.use_reducer({"name": "by_policy", "fate": "copy"})
        with pytest.raises(UserError, match="by=threshold"):
            calibrate_reducer(tagger, split, ReducerGoal("search"))
    finally:
        tagger.use_reducer(None)
