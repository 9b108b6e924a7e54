"""Several passes of one step over parts of the same network (Length-Adaptive Transformer)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from tokenexit import reducers
from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import BatchInfo, from_config
from tokenexit.objectives.base import check_heads
from tokenexit.objectives.length_drop import LengthDrop
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.testing import check_objective
from tokenexit.training.tracking import read_log


class Top:
    """Keeps what the top says."""

    def arrive(self, signals, words):
        if signals.layer == signals.num_layers:
            self.logits, self.target = signals.logits, signals.target

    def leave(self, halted, staying):
        pass


def logits_of(model, sentences, part):
    top = Top()
    given = model.backbone, model.heads, pack(sentences), top
    encode(*given, reducer=part.reducer, without=part.without)
    return top


def info(step=0, layers=12, seed=0):
    return BatchInfo(step, 0.5, seed, (layers,), 1, torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("reverse", [True, False])
def test_smaller_networks_learn_from_the_full_one_alone(toy, teach, gradients, agree, reverse):
    """Loss and gradients are those of the four networks, run one by one and written out."""
    model = toy.build(sharp=4.0, double=True)
    sentences = toy.sentences(model, 6, unlabelled=0.3)
    objective = LengthDrop(0.5, layer_drop=0.3, reverse=reverse)
    taught = teach(model, objective, sentences, step=3)
    full = logits_of(model, sentences, SubNetwork())
    known = full.target != -100
    loss = F.cross_entropy(full.logits[known], full.target[known], reduction="sum")
    fixed = full.logits.detach().log_softmax(-1)[known]
    parts = list(objective.smaller(info(3, 3)))
    assert len({str(part) for part in parts}) == 3
    for part in parts:
        told = logits_of(model, sentences, part).logits.log_softmax(-1)[known]
        one, other = (told, fixed) if reverse else (fixed, told)
        loss = loss + (one.exp() * (one - other)).sum()
    torch.testing.assert_close(taught.loss.double(), loss / 4, rtol=1e-5, atol=1e-5)
    agree(taught.gradients, gradients(model, loss / 4))


def test_the_smallest_configuration():
    """From 128 rows 103, 83, 67 ... 11, 32.6 % of all; the random ones lie between."""
    smallest, *drawn = (part.reducer for part in LengthDrop(layer_drop=0).smaller(info()))
    rows = torch.tensor([128])
    counts = [int(smallest.limits(layer, rows)) for layer in range(1, 13)]
    assert counts[:3] == [103, 83, 67]
    assert counts[-1] == 11
    assert sum(counts) / (12 * 128) == pytest.approx(0.326, abs=5e-4)
    for reducer in drawn:
        found = [128, *(int(reducer.limits(layer, rows)) for layer in range(1, 13))]
        for before, after in pairwise(found):
            assert 0.8 * before - 1 <= after <= before
    assert len({one.shares for one in drawn}) == 2


def test_layers_are_left_out_by_chance_and_take_out_nobody():
    steps = [list(LengthDrop().smaller(info(step))) for step in range(200)]
    left = [layer for step in steps for part in step for layer in part.without]
    assert len(left) / (200 * 3 * 12) == pytest.approx(0.2, abs=0.02)
    for part in steps[0]:
        assert not part.without & set(part.reducer.layers)
        counts = [int(part.reducer.limits(layer, torch.tensor([128]))) for layer in range(1, 13)]
        for layer in part.without - {1}:
            assert counts[layer - 1] == counts[layer - 2]
    every = LengthDrop(layer_drop=0.9, reducer={"name": "core_set", "layers": [2]})
    found = [part for step in range(9) for part in every.smaller(info(step))]
    assert {part.reducer is None for part in found} == {True, False}


def test_a_layer_left_out_changes_no_state(toy):
    model, states = toy.build(), []
    batch = pack(toy.sentences(model, 4))
    given = model.backbone, model.heads, batch, Top()
    reducer = reducers.Significance(0.5)
    work = encode(*given, states=states, reducer=reducer, without={2})
    assert torch.equal(states[1], states[0])
    assert work[1].active == work[1].calls == 0
    assert work[2].active > 0


def test_the_same_however_a_step_is_cut(toy, tmp_path, agree):
    found = []
    for parts in (1, 3):
        model = toy.build(sharp=4.0, double=True)
        given = {"accumulation": parts, "objective": {"name": "length_drop", "ratio": 0.5}}
        folder = tmp_path / str(parts)
        toy.fit(model, toy.sentences(model, 9, unlabelled=0.3), folder, epochs=2, **given)
        found.append((toy.weights(model), read_log(folder / "train_log.jsonl")))
    agree(found[0][0], found[1][0], 1e-6)
    for one, three in zip(found[0][1], found[1][1], strict=True):
        assert len(one["loss_by_pass"]) == 3
        assert one["loss_by_pass"] == pytest.approx(three["loss_by_pass"], abs=2e-5)
        assert one["loss"] == pytest.approx(three["loss"], abs=2e-5)


def test_the_model_s_own_reducer_is_for_use(toy, teach):
    """The full network is full."""
    model = toy.build(sharp=4.0)
    sentences = toy.sentences(model, 4)
    plain = teach(model, "length_drop", sentences).loss
    model.use_reducer("significance:0.3")
    assert torch.equal(teach(model, "length_drop", sentences).loss, plain)
    assert not torch.equal(teach(model, "single", sentences).loss, 4 * plain)


def test_promises():
    check_objective("length_drop")
    check_objective("length_drop", reducer={"name": "core_set", "fate": "restore"}, random=0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ratio": 1.0}, "between 0 and 1"),
        ({"random": 1.5}, "whole number"),
        ({"layer_drop": 1}, "below 1"),
        ({"reducer": "by_policy"}, "significance or core_set"),
    ],
)
def test_bad_settings(settings, told):
    with pytest.raises(UserError, match=told):
        from_config({"name": "length_drop", **settings})


def test_generators_have_no_rows_to_take_out():
    with pytest.raises(UserError, match="text generators have not"):
        check_heads(LengthDrop(), None)


def test_shares_are_of_a_text_s_own_length():
    reducer = replace(reducers.Significance(1.0), shares=(1.0, 0.5, 0.25))
    lengths = torch.tensor([40, 10, 3])
    found = [reducer.limits(layer, lengths).tolist() for layer in (1, 2, 3, 4)]
    assert found == [[40, 10, 3], [20, 5, 2], [10, 3, 2], [10, 3, 2]]
    assert [reducer.asked(layer, 4, 40) for layer in (1, 2, 4)] == [False, True, True]
    for bad in ((0.0,), (1.5,), ("x",), 0.5, (True,)):
        with pytest.raises(UserError, match="shares must be numbers"):
            reducers.Significance(shares=bad)
