"""Exits that learn on a network which stays as it is: DeeBERT's second stage, and FastBERT's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit.models.fresh.encoder import fresh_encoder
from tokenexit.models.words.token_classification import ExitModelForTokenClassification

pytestmark = pytest.mark.slow

FROZEN = ["frozen_distillation", "two_stage"]


@pytest.mark.parametrize("name", FROZEN)
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_the_second_stage_leaves_the_network_alone(name, family, toy, teach):
    """ModernBERT's final norm stands before every head, and belongs to the network."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3}
    given = {"model_type": family, "num_attention_heads": 2, "initializer_range": 0.3, **shape}
    network = fresh_encoder(given, toy.tokenizer(), 3)
    model = ExitModelForTokenClassification.from_transformers(network, toy.tokenizer(), toy.LABELS)
    taught = teach(model, name, toy.sentences(model, 4), progress=0.9)
    assert taught.reached("heads.exits.1.")
    moved = {n for n, g in taught.gradients.items() if g is not None}
    assert moved == {n for n, _ in model.named_parameters() if n.startswith("heads.exits.")}


@pytest.fixture
def gradients_of_steps(toy, tmp_path, monkeypatch):
    """Gradients with which a training steps; rates are so small that weights stay."""
    taken: list[dict[int, Tensor | None]] = []
    step = torch.optim.AdamW.step

    def spy(self, *args):
        weights = [weight for group in self.param_groups for weight in group["params"]]
        taken.append({id(w): None if w.grad is None else w.grad.clone() for w in weights})
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)

    def run(model: Any, sentences: list[Any], **settings: Any) -> list[dict[str, Tensor | None]]:
        taken.clear()
        told = {"lr": 1e-12, "head_lr": 1e-12, "clip": 0.0, "batch_size": 99, "max_steps": 2}
        toy.fit(model, sentences, tmp_path, **{**told, **settings})
        return [{name: one[id(w)] for name, w in model.named_parameters()} for one in taken]

    return run


def test_texts_without_labels_teach_in_the_second_stage_alone(
    toy, teach, agree, gradients_of_steps
):
    model = toy.build(sharp=3.0, double=True)
    sentences = toy.sentences(model, 5, unlabelled=0.3)
    bare = [sentence.unlabelled() for sentence in toy.sentences(model, 4, seed=1)]
    everything, objective = [*sentences, *bare], {"name": "frozen_distillation", "split": 0.5}
    first, second = gradients_of_steps(model, everything, objective=objective)
    (single,) = gradients_of_steps(model, sentences, objective={"name": "single"}, max_steps=1)
    agree(first, single, 1e-6)
    rows = sum(len(sentence.word_rows) for sentence in everything)
    whole = teach(model, objective, everything, progress=0.5).gradients
    agree(second, {n: None if g is None else g / rows for n, g in whole.items()}, 1e-6)
    fewer = gradients_of_steps(model, sentences, objective=objective)[1]
    name = "heads.exits.1.project.weight"
    assert not torch.allclose(fewer[name], second[name], atol=1e-3)


@pytest.mark.parametrize("name", FROZEN)
def test_a_borrowed_sentence_teaches_nobody(name, toy, agree, gradients_of_steps):
    model = toy.build(sharp=3.0, double=True)
    (sentence,), objective = toy.sentences(model, 1), {"name": name, "split": 0.5}
    whole, parts = (
        gradients_of_steps(model, [sentence], objective=objective, accumulation=count)
        for count in (1, 3)
    )
    for one, other in zip(whole, parts, strict=True):
        agree(one, other, 1e-6)
