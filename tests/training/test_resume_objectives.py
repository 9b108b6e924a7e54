"""Trainings with parameters, stages or gradients of their own go on where they were cut off."""

from __future__ import annotations

from typing import Any

import pytest
from safetensors.torch import load_file

from tokenexit.objectives import OBJECTIVES
from tokenexit.training import loop

pytestmark = pytest.mark.slow

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "mutual_distillation": ({"mode": "learned"}, "learned.raw"),
    "learned_weights": ({}, "learned.raw"),
    "searched": ({"split": 0.6}, "architecture"),
    "frozen_distillation": ({"split": 0.6}, "heads"),
    "gradient_projection": ({}, "heads"),
    "imitation": ({}, "imitators"),
    "dact": ({}, "gate"),
    "palbert": ({}, "gate"),
    "length_drop": ({"layer_drop": 0.4}, "encoder"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_training_ends_the_same(name, toy, tmp_path, monkeypatch, same_bits):
    settings, learned = CASES[name]
    asks = OBJECTIVES.get(name).asks
    gate = {"name": asks["gate"]} if "gate" in asks else False
    step = loop.one_step

    def fit(folder: str, *, resume: bool = False, seed: int = 0) -> dict[str, Any]:
        head = asks.get("head", "linear")
        model = toy.build(dropout=0.2, seed=seed, head=head, gate=gate)
        examples = toy.sentences(toy.build(), 12)
        given = {"max_steps": 8, "checkpoint_every": 3, "objective": {"name": name, **settings}}
        toy.fit(model, examples, tmp_path / folder, resume=resume, **given)
        return load_file(tmp_path / folder / "checkpoints" / "step-00000008" / "model.safetensors")

    def cut(plan, *rest):
        if plan.number == 5:
            raise KeyboardInterrupt
        return step(plan, *rest)

    whole = fit("whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "one_step", cut)
        with pytest.raises(KeyboardInterrupt):
            fit("broken")
    early = load_file(tmp_path / "broken" / "checkpoints" / "step-00000003" / "model.safetensors")
    assert same_bits(fit("broken", resume=True, seed=7), whole)
    own = [key for key in whole if learned in key]
    assert own
    assert any(not early[key].equal(whole[key]) for key in own)  # it did learn on
