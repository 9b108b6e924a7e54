"""Columns of rows that gradients make, against those of the plain model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.testing.tagger import tiny_sentences, tiny_tagger
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.preparations import Material
from tokenexit.training.preparations import from_config as preparation

SCORERS = {"name": "mlp", "inner": 4, "layers": [1, 2]}


def prepared(model: Any, sentences: Any, name: str) -> Any:
    def module(given: Any) -> Any:
        return EncoderLossModule(given, from_config("single"))

    return preparation({"name": name})(model, Material(sentences, {}, module, 2))


def by_hand(model: Any, sentence: Any) -> tuple[Any, Any, Any]:
    """States of the plain model that keep their gradients, its logits, and the gold classes."""
    states = model.network(torch.tensor([sentence.input_ids]), output_hidden_states=True)
    for state in states.hidden_states:
        state.retain_grad()
    logits = states.logits[0, [word[0] for word in sentence.word_rows]]
    return states.hidden_states, logits, torch.tensor(sentence.targets)


def test_saliency_is_what_leaving_a_row_as_it_is_would_cost():
    model = tiny_tagger(scorers=SCORERS, double=True).eval()
    sentences, wanted = tiny_sentences(model, 5, unlabelled=0.3), []
    for sentence in sentences:
        states, logits, gold = by_hand(model, sentence)
        F.cross_entropy(logits, gold, ignore_index=-100, reduction="sum").backward()
        moved = [states[2] - states[0], states[2] - states[1]]
        wanted.append(torch.stack([(states[2].grad * m).sum(-1).abs()[0] for m in moved], 1))
    model.zero_grad(set_to_none=True)
    found = prepared(model, sentences, "saliency")["saliency"]
    torch.testing.assert_close(found.values, torch.cat(wanted).detach())
    assert all(weight.grad is None for weight in model.parameters())


def test_gold_saliency_is_the_length_of_gradient_times_embedding():
    model = tiny_tagger(double=True).eval()
    sentences, wanted = tiny_sentences(model, 5, unlabelled=0.3), []
    for sentence in sentences:
        states, logits, gold = by_hand(model, sentence)
        known = (gold >= 0).nonzero().squeeze(-1)
        logits[known, gold[known]].sum().backward()
        wanted.append((states[0].grad * states[0])[0].norm(dim=-1))
    found = prepared(model, sentences, "gold_saliency")["gold_saliency"]
    torch.testing.assert_close(found.values.double(), torch.cat(wanted), atol=1e-6, rtol=1e-5)


def test_saliency_wants_scorers():
    model = tiny_tagger()
    with pytest.raises(UserError, match="no scorers"):
        prepared(model, tiny_sentences(model, 2), "saliency")


def test_three_stages_are_the_same_however_steps_are_cut(toy, tmp_path, largest_gap):
    """And the policies' stage changes them alone."""
    phases = [
        {"objective": {"name": "single"}},
        {"freeze": ["network", "top"],
         "prepare": [{"name": "saliency"},
                     {"name": "use_reducer", "reducer": {"name": "scored", "fate": "restore"}}]},
        {"objective": {"name": "reinforce", "guide_rate": 0.0, "distil": True}, "teacher": 1},
    ]  # fmt: skip
    found = []
    for parts in (1, 2):
        model = tiny_tagger(sharp=4.0, scorers=SCORERS, double=True)
        told = {"accumulation": parts, "max_steps": 2, "phases": phases}
        objective = {"name": "reinforce", "copies": 3}
        folder = tmp_path / str(parts)
        toy.fit(model, toy.sentences(model, 6), folder, objective=objective, **told)
        assert model.reducer is not None
        found.append(toy.weights(model))
    assert largest_gap(*found) < 1e-6
