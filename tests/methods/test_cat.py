"""CAT as released: what is frozen, what the meta classifier sees, and two promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.conformal import conformal_quantile, disagreeing
from tokenexit.errors import UserError
from tokenexit.gates import build_gate
from tokenexit.halting import encode, pack
from tokenexit.halting.reference import encode_dense
from tokenexit.heads import ExitHeads
from tokenexit.methods import METHODS
from tokenexit.testing.tagger import tiny_sentences, tiny_tagger
from tokenexit.training import TrainConfig, make_accelerator, train

CAT: Any = METHODS.get("cat")


def cat(layers: int = 4, dropout: float = 0.0) -> Any:
    model = tiny_tagger(layers=layers, dropout=dropout)
    torch.manual_seed(0)
    model.heads = ExitHeads(CAT.heads, range(1, layers), 16, 3)
    model.settings = replace(model.settings, heads=CAT.heads)
    return model


class Seen:
    """What arrives at exits, and who halts there: every other word at the first."""

    def __init__(self) -> None:
        self.gates: dict[int, torch.Tensor] = {}
        self.signals: dict[int, Any] = {}

    def arrive(self, signals: Any, words: torch.Tensor) -> torch.Tensor | None:
        self.signals[signals.layer] = signals
        if signals.layer < signals.num_layers:
            self.gates[signals.layer] = signals.gate
        return words % 2 == 0 if signals.layer == 1 else None

    def leave(self, halted: torch.Tensor, staying: torch.Tensor) -> None:
        pass


def test_the_gate_sees_the_class_at_earlier_exits_and_the_reading():
    model = cat().eval()
    batch = pack(tiny_sentences(model, 4), "cpu")
    seen, dense = Seen(), Seen()
    with torch.no_grad():
        encode(model.backbone, model.heads, batch, seen)
        encode_dense(model.backbone, model.heads, batch, dense)
    for layer, found in seen.gates.items():
        torch.testing.assert_close(found, dense.gates[layer])
    gate, third = model.heads.gate, seen.signals[3]
    named = third.logits.argmax(-1)
    past = gate._past(third, named)
    with torch.no_grad():  # the second exit's; the first one's is left out, the present one, too
        second = model.heads.at(2)(third.past[:, 1]).softmax(-1)
    torch.testing.assert_close(past[:, 0], second.gather(1, named[:, None])[:, 0])
    assert past.shape[1] == 1
    without = gate(replace(third, past=third.past[:, :1]))
    assert (without - gate(third)).abs().max() > 1e-6
    reading = model.heads.at(3).reading(third.hidden)
    assert gate.read is None
    torch.testing.assert_close(gate._reading(third), reading)


def test_heads_of_another_kind_are_read_by_the_gate_itself():
    gate = build_gate({"name": "meta_history"}, 6, 3, (1, 2))
    heads = ExitHeads({"name": "linear", "gate": {"name": "meta_history"}}, (1, 2), 6, 3)
    assert gate.read is not None
    assert heads.gate.read is not None
    assert not any("_heads" in name for name in heads.gate.state_dict())


def test_each_learns_after_the_other(tmp_path):
    model = cat(dropout=0.3)
    before: list[Any] = []

    def evaluate(model: Any) -> dict[str, Any]:
        before.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"quality": len(before), "by_exit": [len(before)]}

    config = TrainConfig(**CAT.train, epochs=1, batch_size=4)
    accelerator = make_accelerator(config, tmp_path)
    sentences = tiny_sentences(model, 30)
    train(model, sentences, config, accelerator=accelerator, folder=tmp_path, evaluate=evaluate)
    network, exits = before  # the gate's phase has nothing to evaluate
    after = model.state_dict()

    def same(first: Any, second: Any, part: str) -> bool:
        found = [torch.equal(first[name], second[name]) for name in first if part in name]
        assert found
        return all(found)

    assert same(network, exits, "network")
    assert same(exits, after, "network")
    assert not same(network, exits, "heads.exits.1.expand")
    assert same(exits, after, "heads.exits.1.expand")
    assert same(network, exits, "heads.gate")
    assert not same(exits, after, "heads.gate")
    assert float(exits["heads.exits.1.temperature.value"]) == 1
    assert float(after["heads.exits.1.temperature.value"]) != 1


def test_a_promise_about_texts_that_some_exit_gets_otherwise():
    worst = np.array([*np.arange(1, 10) / 10, *[-np.inf] * 11])
    assert conformal_quantile(worst, 0.2) == 0.6
    assert conformal_quantile(disagreeing(worst), 0.2) == 0.8
    assert CalibrateConfig(risk=0.2).promise.words != (
        told := CalibrateConfig(risk=0.2, risk_among="disagreeing").promise.words
    )
    assert "at which some exit disagrees" in told
    for wrong in ({}, {"risk": 0.1, "delta": 0.1}, {"risk": 0.1, "risk_of": "words"}):
        with pytest.raises(UserError, match="risk_among=disagreeing"):
            CalibrateConfig(risk_among="disagreeing", **wrong)
