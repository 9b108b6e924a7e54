"""Context gates fitted to text classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tokenexit import ExitModelForSequenceClassification, policies
from tokenexit.errors import UserError
from tokenexit.training.fit_gate import fit_gate

LABELS = ("bad", "fine", "good")


@pytest.fixture(scope="module")
def model(toy: Any) -> ExitModelForSequenceClassification:
    torch.manual_seed(0)
    tokenizer = toy.build().tokenizer
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    network = BertForSequenceClassification(config)
    return ExitModelForSequenceClassification.from_transformers(network, tokenizer, LABELS)


@pytest.fixture(scope="module")
def texts(model):
    known = [word for word in model.tokenizer.get_vocab() if word.isalpha()]
    draw = np.random.default_rng(0)
    return [[" ".join(draw.choice(known, draw.integers(2, 9)))] for _ in range(160)]


def labels_of(texts):
    return [[len(text[0]) % 3] for text in texts]


def test_it_reads_no_number_a_class_and_is_asked_about_whole_texts(model, texts):
    gate = fit_gate(model, texts, labels_of(texts), epochs=1)
    assert gate.config.target == "mended"
    assert "log_probabilities" not in gate.config.features
    assert gate.config.neighbours == ()
    assert gate.inputs == 11
    model.use_context(gate)
    run, table = model.trace(texts, policy=policies.ContextGate(0.4)), model.exit_table(texts)
    np.testing.assert_array_equal(table.simulate(policies.ContextGate(0.4))[0], run.exit_layer)
    model.use_context(None)


def test_without_labels_it_learns_to_agree_with_the_top(model, texts):
    assert fit_gate(model, texts, epochs=1).config.target == "agreement"
    with pytest.raises(UserError, match="'mended' needs labelled texts"):
        fit_gate(model, texts, target="mended")


def test_too_few_texts(model, texts):
    with pytest.raises(UserError, match=r"110 rows; these 20 text\(s\) have 20. Give about 110"):
        fit_gate(model, texts[:20], labels_of(texts[:20]))
