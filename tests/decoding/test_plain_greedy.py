"""A search that asks for nothing special is what transformers' own loop gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tokenexit import policies
from tokenexit.decoding.plain_greedy import plain_greedy

SPECIAL = [
    {"num_beams": 2}, {"do_sample": True}, {"repetition_penalty": 1.2}, {"min_new_tokens": 2},
    {"forced_bos_token_id": 3}, {"no_repeat_ngram_size": 2}, {"output_logits": True},
    {"stop_strings": "a"}, {"max_length": 8}, {"bad_words_ids": [[4]]}, {"top_k": 3},
    {"num_return_sequences": 2}, {"suppress_tokens": [5]}, {"streamer": object()},
    {"generation_config": GenerationConfig()}, {"decoder_input_ids": torch.zeros(1, 1)},
    {"max_new_tokens": None}, {"eos_token_id": None}, {"pad_token_id": None},
]  # fmt: skip


@pytest.fixture
def own() -> GenerationConfig:
    return GenerationConfig(decoder_start_token_id=0, eos_token_id=[1, 7], pad_token_id=0)


def test_plain_settings_need_no_preparation(own: GenerationConfig):
    found = plain_greedy({"max_new_tokens": 5, "num_beams": 1, "do_sample": False}, own, own)
    assert found is not None
    assert (found.start, found.most, found.ends, found.pad) == (0, 5, (1, 7), 0)


@pytest.mark.parametrize("more", SPECIAL, ids=lambda more: next(iter(more)))
def test_whatever_else_is_asked_for_is_left_to_transformers(more: Any, own: GenerationConfig):
    assert plain_greedy({"max_new_tokens": 5, **more}, own, own) is None


@pytest.mark.parametrize("more", SPECIAL[2:6], ids=lambda more: next(iter(more)))
def test_the_models_own_settings_count(more: Any, own: GenerationConfig):
    own.update(**more)
    assert plain_greedy({"max_new_tokens": 5}, own, own) is None


def test_a_configuration_that_controls_generation_is_left_to_transformers(own: GenerationConfig):
    config = type("Config", (), {})()
    config.repetition_penalty = 1.5
    assert plain_greedy({"max_new_tokens": 5}, own, config) is None


@pytest.mark.parametrize("most", [1, 3, 20])
def test_the_same_texts_as_through_transformers(
    most: int, model: Any, sources: Any, monkeypatch: pytest.MonkeyPatch
):
    told = {"max_new_tokens": most, "return_dict_in_generate": True, **sources.inputs}
    asked = policies.Never(), policies.AssignedDepth(2), policies.Margin(0.01)
    for policy in asked:
        plain = model.generate(policy=policy, **told)
        with monkeypatch.context() as patch:
            patch.setattr("tokenexit.models.generation.generate.plain_greedy", lambda *_: None)
            theirs = model.generate(policy=policy, **told)
        assert torch.equal(plain.sequences, theirs.sequences)
        assert torch.equal(plain.exit_layers, theirs.exit_layers)
        assert (plain.work.counts == theirs.work.counts).all()


def test_it_is_what_usual_settings_take(model: Any):
    settings = {"max_new_tokens": 9, "return_dict_in_generate": True, "num_beams": 1}
    own = model.network.generation_config
    found = plain_greedy(settings, own, model.network.config)
    assert (found is None) == (own.pad_token_id is None or own.eos_token_id is None or bool(
        own.forced_eos_token_id or own.forced_bos_token_id or (own.num_beams or 1) > 1
    ))  # fmt: skip
