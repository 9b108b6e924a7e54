"""Context gates fitted to models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.training.fit_gate import fit_gate

SMALL = {"features": ("entropy", "margin"), "neighbours": ("entropy",), "inner": 0}


@pytest.fixture(scope="module")
def model(toy):
    return toy.build().eval()


@pytest.fixture(scope="module")
def texts(model):
    known = [word for word in model.tokenizer.get_vocab() if word.isalpha()]
    draw = np.random.default_rng(0)
    return [draw.choice(known, draw.integers(1, 9)).tolist() for _ in range(60)]


def test_a_gate_of_its_own(model, texts):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gate = fit_gate(model, texts, epochs=1, **SMALL)
    assert model.context is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert gate.config.exits == model.settings.exit_layers[:-1]
    model.use_context(gate)
    run = model.tag(texts, policy=policies.ContextGate(0.6))
    assert len(run) == sum(map(len, texts))
    model.use_context(None)


def test_with_states(model, texts):
    settings = {**SMALL, "features": ("projection",), "neighbours": ("place",), "projection": 2}
    gate = fit_gate(model, texts, epochs=1, **settings)
    assert not gate.of_logits
    assert gate.project.abs().sum() > 0
    model.use_context(gate)
    policy = policies.ContextGate(float(np.median(_first(model, texts))))
    run, table = model.tag(texts, policy=policy), model.exit_table(texts)
    assert (run.exit_layer == 1).any()
    np.testing.assert_array_equal(table.simulate(policy)[0] == 1, run.exit_layer == 1)
    model.use_context(None)


def _first(model, texts):
    table = model.exit_table(texts)
    from tokenexit.training.fit_gate import as_table

    return model.context.step(as_table(table).signals(0, torch.arange(len(table.gold))))[0]


def test_too_few_texts(model):
    with pytest.raises(UserError, match=r"these 1 text\(s\) have 2. Give about"):
        fit_gate(model, [["a", "b"]])


def test_a_setting_that_does_not_exist(model, texts):
    with pytest.raises(UserError, match="Did you mean 'reach'"):
        fit_gate(model, texts, reech=2)
