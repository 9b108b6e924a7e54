"""Texts that leave as a whole, judged by a context gate without neighbours."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from tokenexit import ExitModelForSequenceClassification, policies
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.scale import Scale
from tokenexit.training.fit_gate import fit_gate

WORDS = ("red", "green", "blue", "one", "two", "three")
SMALL = {"features": ("entropy", "margin", "agreement", "length"), "inner": 4, "epochs": 1}


@pytest.fixture(scope="module")
def make() -> Any:
    tokenizer = train_tokenizer([list(WORDS)], 200, False)

    def build(labels: Any, **options: Any) -> ExitModelForSequenceClassification:
        torch.manual_seed(0)
        config: Any = BACKBONES.get("bert").example_config("bert")
        config.vocab_size = max(config.vocab_size, len(tokenizer))
        network = AutoModel.from_config(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2)
        model = ExitModelForSequenceClassification.from_transformers(
            network, tokenizer, labels, **options
        )
        with torch.no_grad():
            for weight in model.heads.parameters():
                weight.normal_(std=0.4)
        return model.eval()

    return build


@pytest.fixture(scope="module")
def texts() -> list[list[str]]:
    draw = np.random.default_rng(0)
    return [[" ".join(draw.choice(WORDS, draw.integers(1, 9)))] for _ in range(80)]


def test_texts_leave_alone(make, texts, tmp_path):
    model = make(["yes", "no", "maybe"])
    gate = fit_gate(model, texts, rounds=2, **SMALL)
    assert gate.config.unit == "text"
    assert gate.inputs == 1 + 1 + 2 + 1
    model.use_context(gate)
    table = model.exit_table(texts)
    wrong = model.context.step(table_signals(table))[0]
    policy = policies.ContextGate(float(wrong.median()))
    runs = [model.trace(texts, policy=policy, batch_size=size) for size in (1, 7, 80)]
    assert len(set(runs[0].exit_layer)) > 1
    for run in runs[1:]:
        np.testing.assert_array_equal(run.exit_layer, runs[0].exit_layer)
    # A text's own states are all that it reads, and they do not change while it is there.
    np.testing.assert_array_equal(table.simulate(policy)[0], runs[0].exit_layer)
    model.save_pretrained(tmp_path)
    loaded = ExitModelForSequenceClassification.from_pretrained(tmp_path)
    found = loaded.trace(texts, policy=policy).exit_layer
    np.testing.assert_array_equal(found, runs[0].exit_layer)


def table_signals(table: Any) -> Any:
    from tokenexit.training.fit_gate import as_table

    return as_table(table).signals(0, torch.arange(len(table.gold)))


def test_a_stricter_threshold_lets_no_text_out_earlier(make, texts):
    model = make(["yes", "no", "maybe"])
    model.use_context(fit_gate(model, texts, **SMALL))
    layers = [
        model.trace(texts, policy=policies.ContextGate(threshold)).exit_layer
        for threshold in (0.0, 0.2, 0.5, 0.9, 1.0)
    ]
    assert all((strict >= loose).all() for strict, loose in itertools.pairwise(layers))
    assert layers[0].min() == 4
    assert layers[-1].max() == 1


def test_numbers_have_no_gate(make, texts):
    model = make(["value"], scale=Scale(0.0, 1.0))
    with pytest.raises(UserError, match="tell numbers"):
        fit_gate(model, texts, **SMALL)
    with pytest.raises(UserError, match="no meaning for numbers"):
        model.trace(texts, policy="context_gate")
