"""Precision, recall and F1 by type, and that they add up to the usual figure."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.tasks import Rows, labelled_task
from tokenexit.tasks.scoring.gold import FIRST_UNSEEN
from tokenexit.tasks.scoring.kinds import count_classes, count_entities
from tokenexit.tasks.scoring.spans import fast_span_f1

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def test_entities_by_type():
    gold = np.array([1, 2, 0, 3, 4, 0, 1])
    said = np.array([1, 2, 0, 3, 0, 3, 0])
    text = np.zeros(7, dtype=int)
    loc, per = count_entities(said, gold, text, LABELS)
    assert (loc.name, loc.found, loc.true, loc.right) == ("LOC", 1, 2, 1)
    assert (loc.precision, loc.recall, loc.f1) == (1, 0.5, pytest.approx(2 / 3))
    assert (per.name, per.found, per.true, per.right) == ("PER", 2, 1, 0)
    assert (per.precision, per.recall, per.f1) == (0, 0, 0)
    assert loc.mine.tolist() == [True, True, False, False, False, False, True]


def test_types_add_up_to_micro_f1():
    rng = np.random.default_rng(0)
    gold, said = rng.integers(0, 5, (2, 300))
    said[:200] = gold[:200]
    text = np.repeat(np.arange(30), 10)
    kinds = count_entities(said, gold, text, LABELS)
    found, true, right = (sum(kind[place] for kind in kinds) for place in (1, 2, 3))
    assert 2 * right / (found + true) == pytest.approx(fast_span_f1(said, gold, text, LABELS))


def test_classes_that_nobody_has_are_left_out():
    gold, said = np.array([0, 0, 1, -1]), np.array([0, 1, 1, 1])
    first, second = count_classes(said, gold, ("a", "b", "c"))
    assert (first.precision, first.recall) == (1, 0.5)
    assert (second.found, second.true, second.right) == (3, 1, 1)
    only_gold = count_classes(np.array([1]), np.array([0]), ("a", "b"))
    assert [(k.precision, k.recall, k.f1) for k in only_gold] == [(None, 0, 0), (0, None, 0)]


def test_labels_of_sets_are_counted_one_by_one():
    task = labelled_task("multilabel")
    names = ("none", "a", "b", "a|b")
    # The last one has both labels, of a set that the model does not know, and a third label.
    gold = np.array([3, 1, 0, FIRST_UNSEEN - 0b111])
    rows = Rows(np.array([1, 1, 2, 3]), gold, np.arange(4), names)
    assert [(k.name, k.found, k.true, k.right) for k in task.by_kind(rows)] == [
        ("a", 3, 3, 3), ("b", 2, 2, 1)
    ]  # fmt: skip
    assert task.by_kind(rows)[0].mine.tolist() == [True, True, False, True]


def test_numbers_are_of_no_kind():
    rows = Rows(np.zeros(2), np.ones(2), np.arange(2), ("value",))
    assert labelled_task("regression").by_kind(rows) == []
