"""Gates fitted on a table."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tokenexit.context import TARGETS, GateConfig, fit_table
from tokenexit.context.fit import staying
from tokenexit.context.learn import FitOptions
from tokenexit.errors import UserError

QUICK = FitOptions(epochs=1, steps=200, dropout=0.0)


def config(table, **changes):
    settings = {"inner": 8, "num_classes": len(table.classes), "classes": table.classes}
    return GateConfig(exits=table.layers[:-1], num_layers=table.layers[-1], **settings | changes)


@pytest.mark.parametrize("changes", [{}, {"inner": 0}, {"shared": True}, {"reach": 0}])
def test_what_it_says_ranks_the_exits_that_are_wrong(changes, make_table):
    gate = fit_table(make_table(400), config(make_table(1), **changes), QUICK)
    fresh = make_table(200, seed=1)
    wrong = TARGETS.get("agreement")().wrong(fresh.said, fresh.gold)[0]
    said, _ = gate.step(fresh.signals(0, torch.arange(len(fresh))))
    assert 0.1 < float(said.mean()) < 0.6
    assert said[wrong].mean() > said[~wrong].mean() + 0.15


def test_the_same_seed_gives_the_same_gate(make_table):
    table = make_table(200)
    one, two = (fit_table(table, config(table), QUICK) for _ in range(2))
    other = fit_table(table, config(table), replace(QUICK, seed=1))
    assert torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight, other.weight)


def test_too_few_texts_say_how_many_it_takes(make_table):
    with pytest.raises(UserError, match=r"280 rows; these 3 text\(s\) have 15. Give about 56"):
        fit_table(make_table(3), config(make_table(1)))
    with pytest.raises(UserError, match=r"these 0 text\(s\)"):
        fit_table(make_table(0), config(make_table(1)))


def test_rows_with_a_nan_are_refused(make_table):
    table = make_table(200)
    table.logits[1, 7:9] = math.nan
    with pytest.raises(UserError, match="after layer 2 says NaN or infinity of"):
        fit_table(table, config(table), QUICK)


def test_a_class_never_seen_changes_nothing(make_table):
    """A number that never varied in training has no weight, whatever it is later."""
    table = make_table(200)
    table.logits[..., 2] = -1e4
    gate = fit_table(table, config(table, features=("entropy", "named"), inner=0), QUICK)
    assert gate.weight[0, 0, 3] == 0
    seen = make_table(20, seed=2)
    said, _ = gate.step(seen.signals(0, torch.arange(100)))
    assert said.isfinite().all()


def test_targets_without_labels(make_table):
    table = replace(make_table(200), gold=torch.full((1000,), -100))
    fit_table(table, config(table), QUICK)
    with pytest.raises(UserError, match="'right' needs labelled texts"):
        fit_table(table, config(table, target="right"), QUICK)


def test_targets():
    said = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]])
    gold = torch.tensor([0, 0, 0, 0])
    assert TARGETS.get("agreement")().wrong(said, gold).tolist() == [
        [False, True, True, False],  # the third is right for now, and later exits take it back
        [False, False, True, False],
    ]
    assert TARGETS.get("right")().wrong(said, gold).tolist() == [
        [False, True, False, False],  # nobody is to blame for what the top errs about as well
        [False, False, True, False],
    ]
    assert TARGETS.get("mended")().wrong(said, gold).tolist() == [
        [False, True, False, False],
        [False, False, True, False],
    ]
    cost = TARGETS.get("cost")()
    assert cost.weight(said, gold, ("O", "B-PER")).tolist() == [1, 4, 4, 4]
    assert cost.weight(said, gold, ("A", "B")) is None


def test_what_most_later_exits_know_and_the_top_does_not():
    said = torch.tensor([[1, 1, 1], [0, 1, 0], [0, 1, 1], [1, 0, 1]])
    gold = torch.tensor([0, 0, -100])  # of the last the top's answer, 1, is taken
    assert TARGETS.get("right")().wrong(said, gold)[:, 0].tolist() == [False, False, False]
    assert TARGETS.get("mended")().wrong(said, gold).tolist() == [
        [True, False, False],
        [False, True, True],  # one of two is enough
        [False, True, False],
    ]


def test_enough_rows_stay_for_the_next_exit():
    wrong = torch.tensor([0.001, 0.002, 0.5, 0.01])
    assert staying(wrong, 0.03, 1).tolist() == [False, False, True, False]
    assert staying(wrong, 0.03, 3).tolist() == [False, True, True, True]
    assert staying(wrong, 0.03, 9).tolist() == [False, False, True, False]
