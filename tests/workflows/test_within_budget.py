"""The best setting within a budget."""

from __future__ import annotations

from tokenexit.workflows.within_budget import within


def settings(*pairs, lower=False):
    return [
        {"quality": quality, "mac_ratio": ratio, "lower_is_better": lower}
        for quality, ratio in pairs
    ]


def test_the_best_of_what_is_cheap_enough():
    found = settings((0.9, 0.8), (0.8, 0.5), (0.85, 0.4), (0.85, 0.3), (0.2, 0.1))
    assert within(found, 1) == found[0]
    assert within(found, 2) == found[3]  # as good as a dearer one
    assert within(found, 4) == found[4]
    assert within(found, 20) is None
    assert within([], 2) is None


def test_where_quality_counts_errors():
    found = settings((0.2, 0.5), (0.1, 0.4), (0.3, 0.3), lower=True)
    assert within(found, 2) == found[1]
