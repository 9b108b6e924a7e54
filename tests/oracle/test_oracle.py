"""Five rows and three exits, each case worked out by hand."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from tokenexit.context.targets.agreement import Agreement
from tokenexit.oracle import Rows, account, compared, oracle_layers, reached, tallies, token_rows
from tokenexit.oracle.tally import tally
from tokenexit.oracle.tokens import KINDS, Text, token_kinds

EXITS = (2, 4, 6)
NAMED = np.array(
    [  # sure from the start, from the second on, only at the top, by chance below, never the same
        [7, 1, 1, 3, 0],
        [7, 2, 2, 1, 1],
        [7, 2, 5, 3, 2],
    ]
)
"""What each exit names of each row."""

ROWS = Rows(
    left=np.array([2, 2, 6, 2, 6]),
    oracle=np.array([2, 4, 6, 6, 4]),
    changed=np.array([False, True, True, False, False]),
)
"""As the oracle; false alarm; disturbed; early and unharmed; late by two layers."""

LABELS = ["O", "B", "O", "B", "O"]


def test_a_row_leaves_where_all_later_exits_agree():
    assert oracle_layers(NAMED, EXITS).tolist() == [2, 4, 6, 6, 6]


def test_the_top_alone_is_an_exit():
    assert oracle_layers(NAMED[-1:], (6,)).tolist() == [6] * 5


def test_agreeing_by_chance_is_no_exit():
    """The first exit names the top's class, the second does not: the row has to wait."""
    named = np.array([[3], [1], [3]])
    assert (named[0] == named[-1]).all()
    assert oracle_layers(named, EXITS).tolist() == [6]


def test_a_gate_that_learns_agreement_learns_the_oracle():
    said = torch.from_numpy(NAMED)
    wrong = Agreement().wrong(said, torch.zeros(5)).bool().numpy()
    waits = wrong.sum(axis=0)
    assert [EXITS[exits] for exits in waits] == oracle_layers(NAMED, EXITS).tolist()


def test_each_row_pays_for_one_thing():
    assert ROWS.early.tolist() == [False, True, False, True, False]
    assert ROWS.alarms.tolist() == [False, True, False, False, False]
    assert ROWS.disturbed.tolist() == [False, False, True, False, False]
    assert ROWS.late.tolist() == [False, False, False, False, True]
    assert ROWS.lost.tolist() == [0, 0, 0, 0, 2]


def test_all_of_them():
    whole = tally(ROWS, "all", 6)
    assert (whole.rows, whole.early, whole.false_alarms) == (5, 2, 1)
    assert (whole.disturbed, whole.late, whole.layers_lost) == (1, 1, 2)
    assert (whole.exit_layer, whole.oracle_layer) == (18 / 5, 22 / 5)
    assert whole.reached == pytest.approx((6 - 18 / 5) / (6 - 22 / 5))
    assert whole.share_of_lost == 1


def test_by_class_the_dearest_comes_first():
    outside, inside = tallies(ROWS, LABELS, 6)
    assert (outside.label, outside.rows, outside.layers_lost) == ("O", 3, 2)
    assert (inside.label, inside.rows, inside.layers_lost) == ("B", 2, 0)
    assert (outside.share_of_lost, inside.share_of_lost) == (1, 0)
    assert (outside.exit_layer, outside.oracle_layer) == (14 / 3, 4)
    assert (inside.false_alarms, inside.early, outside.disturbed) == (1, 2, 1)
    assert inside.reached == (6 - 2) / (6 - 5)


def test_classes_add_up():
    parts = tallies(ROWS, LABELS, 6)
    whole = asdict(tally(ROWS, "all", 6))
    for name in whole.keys() - {"label", "exit_layer", "oracle_layer", "reached"}:
        assert sum(getattr(one, name) for one in parts) == pytest.approx(whole[name])


def test_depth_is_the_oracles_less_what_is_saved_early_plus_what_is_lost():
    early = np.maximum(ROWS.oracle - ROWS.left, 0)
    assert ROWS.left.sum() == ROWS.oracle.sum() - early.sum() + ROWS.lost.sum()


def test_what_is_reached():
    assert reached(6, 2, 6) == 0
    assert reached(2, 2, 6) == 1
    assert reached(3, 2, 6) == 0.75
    assert reached(1, 2, 6) == 1.25
    assert reached(6, 6, 6) is None


def test_an_account_takes_means_over_more_rows_than_it_compares():
    found = account(ROWS, LABELS, 6, exit_layer=3, oracle_layer=2)
    assert found is not None
    assert (found.exit_layer, found.depth_speedup, found.reached) == (2, 3, 0.75)
    assert found.all.exit_layer == 18 / 5
    assert [one.label for one in found.by_class] == ["O", "B"]
    assert account(ROWS.take(np.zeros(5, bool)), [], 6) is None


@pytest.mark.parametrize(
    ("ours", "deep", "count"),
    [("abc", "abc", 3), ("abc", "axc", 2), ("xbc", "abc", 1), ("ab", "abc", 2), ("", "abc", 0)],
)
def test_tokens_are_compared_up_to_the_first_that_differs(ours, deep, count):
    assert compared(ours, deep) == count


def test_tokens_of_two_texts():
    texts = [
        Text(["▁a", "▁b", "</s>"], [1, 3, 1], ["▁a", "▁b", "</s>"], [1, 1, 2]),
        Text(["▁a", "▁x", "▁y"], [1, 1, 3], ["▁a", "▁b", "▁c", "</s>"], [2, 3, 1, 1]),
    ]
    rows = token_rows(texts)
    assert rows.left.tolist() == [1, 3, 1, 1, 1]
    assert rows.oracle.tolist() == [1, 1, 2, 2, 3]
    assert rows.changed.tolist() == [False, False, False, False, True]
    assert rows.alarms.tolist() == [False, False, False, False, True]
    assert rows.early.sum() == 3
    assert token_kinds(texts, "sentencepiece") == ["word", "word", "special", "word", "word"]


def test_kinds_of_tokens():
    tokens = ["▁The", "▁Gold", "en", "▁fox", ",", "▁", "20", "</s>"]
    found = token_kinds([Text(tokens, [1] * 8, tokens, [1] * 8)], "sentencepiece")
    assert found == [
        "capitalised word", "capitalised word", "inside a word", "word", "punctuation", "space",
        "number", "special",
    ]  # fmt: skip
    assert set(found) == set(KINDS)


def test_no_texts_give_no_rows():
    assert len(token_rows([])) == 0
    assert token_kinds([], "words") == []
