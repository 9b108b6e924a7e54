"""Settings of generation, wherever they stand: served, or refused before computing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoding import check_settings
from tokenexit.errors import UserError
from tokenexit.models.generation.generate import Generated

IDS = torch.tensor([[5, 6, 7], [8, 9, 2]])

IN_A_CONFIG: dict[str, Any] = {
    "guidance_scale": 1.5,
    "prompt_lookup_num_tokens": 3,
    "penalty_alpha": 0.6,
    "dola_layers": "high",
    "num_beam_groups": 2,
    "cache_implementation": "static",
    "output_attentions": True,
    "output_hidden_states": True,
    "watermarking_config": {"bias": 2.0},
    "use_mtp": True,
    "token_healing": True,
    "assistant_early_exit": 2,
    "constraints": [object()],
    "use_cache": False,
    "num_beams": 0,
    "num_return_sequences": 3,
    "decoder_start_token_id": 120,
    "forced_bos_token_id": -4,
}


@pytest.fixture
def bart(build: Any) -> Any:
    """A model whose settings may be changed."""
    return ExitModelForSeq2SeqLM.from_transformers(copy.deepcopy(build("bart").network)).eval()


def refusal(model: Any, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        model.generate(IDS, max_new_tokens=3, **settings)
    return str(caught.value)


@pytest.mark.parametrize("name", IN_A_CONFIG)
def test_the_models_own_settings_are_refused_in_the_same_words(bart, name):
    given = refusal(bart, **{name: IN_A_CONFIG[name]})
    setattr(bart.network.generation_config, name, IN_A_CONFIG[name])
    own = refusal(bart)
    assert own.startswith(given.removesuffix("."))
    assert name in own


def test_what_stands_in_the_model_can_be_unset_for_a_call(bart):
    plain = bart.generate(IDS, max_new_tokens=3)
    for name in ("guidance_scale", "penalty_alpha", "dola_layers"):
        setattr(bart.network.generation_config, name, IN_A_CONFIG[name])
        assert f"pass {name}=None" in refusal(bart)
        assert torch.equal(bart.generate(IDS, max_new_tokens=3, **{name: None}), plain)
        setattr(bart.network.generation_config, name, None)


@pytest.mark.parametrize("name", ["guidance_scale", "num_beams", "dola_layers"])
def test_settings_saved_with_the_model_are_refused_too(bart, words, name):
    model = ExitModelForSeq2SeqLM.from_transformers(bart.network, words(1))
    model.configure(generation={name: IN_A_CONFIG[name]})
    with pytest.raises(UserError, match=name):
        model.predict(["w7"])


@pytest.mark.parametrize("where", ["own", "object", "argument"])
def test_a_whole_result_is_given_wherever_it_is_asked_for(bart, where):
    asked: dict[str, Any] = {"max_new_tokens": 3}
    if where == "own":
        bart.network.generation_config.return_dict_in_generate = True
    elif where == "object":
        asked["generation_config"] = GenerationConfig(return_dict_in_generate=True)
    else:
        asked["return_dict_in_generate"] = True
    assert isinstance(bart.generate(IDS, **asked), Generated)
    if where == "own":
        assert isinstance(bart.generate(IDS, return_dict_in_generate=False), torch.Tensor)


def test_harmless_values_are_served_and_nothing_is_changed(bart):
    own = bart.network.generation_config
    own.num_beam_groups, own.guidance_scale, own.penalty_alpha = 1, 1.0, 0.0
    own.output_attentions, own.use_cache = False, True
    before = own.to_dict(), bart.network.config.to_dict()
    assert bart.generate(IDS, max_new_tokens=3, num_beams=2).shape[0] == 2
    assert (own.to_dict(), bart.network.config.to_dict()) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"foo": 1}, r"no argument 'foo'"),
        ({"temprature": 1.0}, "Did you mean 'temperature'"),
        ({"streamer": 1}, r"no argument 'streamer'"),
        ({"temperature": 0.0, "do_sample": True}, "temperature must be a number above 0, not 0.0"),
        ({"temperature": "hot", "do_sample": True}, "temperature must be a number above 0"),
        ({"top_p": 1.5, "do_sample": True}, "top_p must be a number above 0 and at most 1"),
        ({"repetition_penalty": -1}, "repetition_penalty must be a number above 0"),
        ({"num_return_sequences": 3}, "num_return_sequences=3 is more than num_beams=1"),
        ({"num_return_sequences": 3, "num_beams": 2}, "is more than num_beams=2"),
        ({"min_new_tokens": 9, "max_new_tokens": 4}, "min_new_tokens=9 is more than max_new_to"),
        ({"min_length": 9, "max_length": 4}, "min_length=9 is more than max_length=4"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number from 1"),
        ({"min_new_tokens": 1.5}, "min_new_tokens must be a whole number from 0"),
        ({"do_sample": "yes"}, "do_sample must be true or false"),
        ({"assistant_model": "t5"}, "cannot take assistant_model"),
        ({"forced_bos_token_id": 500}, "forced_bos_token_id is 500, but the vocabulary has 120"),
    ],
    ids=str,
)
def test_settings_of_a_run_that_cannot_work(settings, message):
    with pytest.raises(UserError, match=message):
        check_settings(settings, plain=True, vocab_size=120)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_new_tokens": 4, "num_beams": 4, "num_return_sequences": 4, "early_stopping": True},
        {"do_sample": True, "num_return_sequences": 3, "temperature": 0.7, "top_p": 0.9},
        {"temperature": 0.0},  # which greedy search does not look at
        {"eos_token_id": -1, "max_length": 12, "min_length": 2},
        {"stop_strings": ["x"], "no_repeat_ngram_size": 3, "bad_words_ids": [[7]]},
    ],
    ids=str,
)
def test_settings_that_work_are_taken(settings):
    check_settings(settings, GenerationConfig(), plain=True, vocab_size=120)


@pytest.mark.parametrize(
    "settings",
    [{"early_stopping": "often"}, {"top_k": -3, "do_sample": True}, {"sequence_bias": {7: 1.0}}],
    ids=str,
)
def test_what_transformers_refuses_is_a_users_mistake(bart, settings):
    assert next(iter(settings)) in refusal(bart, **settings)


@pytest.mark.parametrize("name", ["head_mask", "decoder_head_mask", "position_ids", "labels"])
def test_arguments_that_would_be_ignored_are_refused(bart, name):
    assert name in refusal(bart, **{name: torch.ones(2, 3)})
    with pytest.raises(UserError, match=f"start cannot take {name}"):
        bart.start(IDS, **{name: torch.ones(2, 3)})


def test_start_takes_what_a_tokenizer_returns(bart):
    extra = {"token_type_ids": torch.zeros_like(IDS), "special_tokens_mask": torch.zeros(2, 3)}
    first = torch.tensor([2, 2])
    logits = bart.start(IDS, **extra, policy=policies.Never()).step(first).logits
    assert torch.equal(logits, bart.start(IDS, policy=policies.Never()).step(first).logits)


def test_drafts_are_counted_where_there_are_any(bart):
    settings = {"pending": "verify", "policy": policies.Hash(1, 4), "max_new_tokens": 6}
    expected = bart.generate(IDS, max_new_tokens=6)
    assert torch.equal(bart.generate(IDS, draft_tokens=2, **settings), expected)
    with pytest.raises(UserError, match="draft_tokens must be a whole number from 1"):
        bart.generate(IDS, draft_tokens=0, **settings)
    with pytest.raises(UserError, match="draft_tokens has a meaning with"):
        bart.generate(IDS, draft_tokens=2)
