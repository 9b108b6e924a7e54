"""Preparations that weigh heads and neurons: rewired, and pruned by what all exits need."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training import TrainConfig, make_accelerator
from tokenexit.training.beginning import Beginning, keep, restore
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.importance import Importance
from tokenexit.training.preparations import Material
from tokenexit.training.preparations import from_config as preparation
from tokenexit.widths import Widths


def material(texts: Any, objective: str = "joint") -> Material:
    def module(model: Any) -> EncoderLossModule:
        return EncoderLossModule(model, from_config(objective))

    return Material(texts, {}, module, batch_size=3)


def test_rewired_it_says_the_same_and_the_first_are_worth_most(toy):
    model = toy.build(double=True).eval()
    texts = toy.sentences(model, 6)
    whole = copy.deepcopy(model)
    preparation({"name": "rewire"})(model, material(texts))
    ids = torch.tensor([texts[0].input_ids])
    assert_close(model.network(ids).logits, whole.network(ids).logits)
    assert all(weight.grad is None for weight in model.parameters())
    found = Importance(model.backbone, "mask")
    module = material(texts, "single").module(model).eval()
    for part in material(texts).parts():
        model.zero_grad()
        module(part, 0, 0.0, 0).total.backward()
        found.add()
    for scores in (*found.heads.values(), *found.neurons.values()):
        assert (scores.diff() <= 1e-9).all()


def two_exits(toy: Any) -> Any:
    """The exit reads what the first head writes and is loud; the top reads what the second does."""
    model = toy.build(layers=2, double=True).eval()
    heads, neurons = (getattr(model.backbone.channels(0), n) for n in ("heads", "neurons"))
    with torch.no_grad():
        other = model.backbone.channels(1)
        for out in (neurons.out, other.heads.out, other.neurons.out):
            out.weight.zero_()
        heads.out.weight[8:, :8] = 0
        heads.out.weight[:8, 8:] = 0
        model.heads.at(1).project.weight[:, 8:] = 0
        model.heads.at(1).project.weight.mul_(20)
        model.backbone.final_head().weight[:, :8] = 0
    return model


@pytest.mark.parametrize(("objective", "kept"), [("joint", 0), ("single", 1)])
def test_all_exits_keep_another_head_than_the_top_alone(toy, objective, kept):
    model = two_exits(toy)
    before = model.backbone.channels(0).heads.out.weight.clone()
    texts = toy.sentences(model, 6)
    preparation({"name": "prune"})(model, material(texts, objective))
    assert model.widths == Widths((1, 1), (12, 12))
    now = model.backbone.channels(0).heads.out.weight
    assert torch.equal(now[:, :8], before[:, 8 * kept : 8 * kept + 8])
    preparation({"name": "prune"})(model, material(texts, objective))
    assert model.widths == Widths((1, 1), (12, 12))  # one always stays


def test_the_most_important_of_those_left_go_on(toy):
    model = toy.build(double=True).eval()
    model.use_widths({"heads": [[1], 2, 2], "neurons": 1.0})
    before = model.backbone.channels(0).heads.out.weight.clone()
    preparation({"name": "prune", "rule": "mask"})(model, material(toy.sentences(model, 4)))
    assert model.widths == Widths((1, 1, 1), (12, 12, 12))
    assert torch.equal(model.backbone.channels(0).heads.out.weight[:, :8], before[:, 8:])


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"heads": 0}, "above 0"),
        ({"heads": True}, "above 0"),
        ({"rule": "tailor"}, "Did you mean"),
        ({"texts": 0}, "above 0"),
    ],
)
def test_bad_settings_are_refused(told, why):
    with pytest.raises(UserError, match=why):
        preparation({"name": "prune", **told})


def test_a_setting_that_is_refused_is_told_alone():
    with pytest.raises(UserError) as told:
        preparation({"name": "prune", "heads": 0})
    assert str(told.value) == "prune.heads must be a whole number above 0, not 0."


def test_a_teacher_is_as_wide_as_before_its_pupil_was_pruned(toy, tmp_path):
    model = toy.build(double=True).eval()
    texts, left = toy.sentences(model, 6), model.settings
    ids = torch.tensor([texts[0].input_ids])
    wanted = model.network(ids).logits
    preparation({"name": "prune"})(model, material(texts))
    accelerator = make_accelerator(TrainConfig(), tmp_path)
    keep(accelerator, tmp_path, 1, model, Beginning(0, 0, {}), left)
    teacher = toy.build(double=True)
    restore(tmp_path, 1, teacher, teaches=True)
    assert teacher.widths is None
    assert_close(teacher.eval().network(ids).logits, wanted)
    restore(tmp_path, 1, teacher)
    assert teacher.widths == model.widths


def test_phases_narrow_a_network_and_teach_it(toy, tmp_path):
    model = toy.build()
    taught = {"name": "distillation", "states": 1.0}
    phases = [
        {"objective": {"name": "joint"}},
        {"objective": taught, "teacher": "previous", "prepare": [{"name": "prune"}]},
        {"objective": {**taught, "of": "exits", "answers": 0.5}, "teacher": 1},
    ]
    toy.fit(model, toy.sentences(model, 8), tmp_path, phases=phases, max_steps=2)
    assert model.widths == Widths((1, 1, 1), (12, 12, 12))
    assert model.inference_backbone.neurons(0) == 12
