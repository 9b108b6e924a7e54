"""Mistakes in what a generator is given, and what it says of them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    DynamicCache,
    EncoderDecoderCache,
    GenerationConfig,
)

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoding import PENDING
from tokenexit.errors import UserError

IDS = torch.tensor([[5, 6, 7], [8, 9, 2]])
MASK = torch.ones_like(IDS)


@pytest.fixture(scope="module")
def bart(build: Any) -> Any:
    """Absolute places, with a gate."""
    return build("bart")


@pytest.fixture(scope="module")
def bare(bart: Any) -> Any:
    """The same without a gate."""
    return ExitModelForSeq2SeqLM.from_transformers(bart.network)


both = pytest.mark.parametrize("way", ["generate", "start"])


# --- sources --------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        (IDS, torch.tensor([[1, 1, 1], [0, 0, 0]]), "Source 1 of the batch is padding only"),
        (torch.tensor([[5, 6], [1, 1]]), None, "Source 1 of the batch is padding only"),
        (torch.tensor([[5, 120]]), None, "from 5 to 120, but the vocabulary has 120 entries"),
        (torch.tensor([[-1, 7]]), None, "from -1 to 7, but the vocabulary has 120 entries"),
        (torch.full((1, 65), 7), None, "A source has 65 tokens and the model reads 64"),
        (IDS, MASK[:, :2], r"attention_mask has shape \[2, 2\] and input_ids \[2, 3\]"),
        (IDS, MASK[0], r"attention_mask has shape \[3\] and input_ids \[2, 3\]"),
        (IDS[0], None, r"input_ids must have shape \[B, S\], not \[3\]"),
        (IDS[:0], None, r"input_ids must have shape \[B, S\], not \[0, 3\]"),
        (IDS[:, :0], None, r"input_ids must have shape \[B, S\], not \[2, 0\]"),
        (IDS.float(), None, "input_ids must be a tensor of whole numbers, not torch.float"),
        (IDS.tolist(), None, "input_ids must be a tensor of whole numbers, not list"),
    ],
)
def test_sources_that_cannot_be_read(bart, way, ids, mask, message):
    with pytest.raises(UserError, match=message):
        getattr(bart, way)(ids, mask)


def test_sources_of_the_longest_length_are_read(bart, build):
    long = torch.full((1, 64), 7)
    assert bart.generate(long, max_new_tokens=2).shape == (1, 3)
    assert build("t5").generate(torch.full((1, 90), 7), max_new_tokens=2).shape == (1, 3)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float64])
def test_a_mask_of_any_type(bart, dtype):
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    expected = bart.generate(IDS, mask, max_new_tokens=5)
    assert torch.equal(bart.generate(IDS, mask.to(dtype), max_new_tokens=5), expected)


def test_texts_longer_than_the_model_has_places(bart):
    settings = {"eos_token_id": None, "policy": policies.AssignedDepth(1)}
    assert bart.generate(IDS, max_length=65, **settings).shape == (2, 65)  # the last is not read
    with pytest.raises(UserError, match="places for 64 tokens, and a text would become longer"):
        bart.generate(IDS, max_new_tokens=65, **settings)


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_new_tokens", "max_length", "num_beams"])
@pytest.mark.parametrize("value", [0, -3, 2.5, "4", True])
def test_numbers_that_make_no_sense(bart, name, value):
    with pytest.raises(UserError, match=f"{name} must be a whole number from 1"):
        bart.generate(IDS, **{name: value})


REFUSED: dict[str, Any] = {
    "assistant_model": object(),
    "assistant_tokenizer": object(),
    "assistant_early_exit": 2,
    "is_assistant": True,
    "use_mtp": True,
    "prompt_lookup_num_tokens": 3,
    "custom_generate": "someone/something",
    "past_key_values": EncoderDecoderCache(DynamicCache(), DynamicCache()),
    "cache": EncoderDecoderCache(DynamicCache(), DynamicCache()),
    "cache_params": DynamicCache(),
    "cache_implementation": "static",
    "cache_config": {"backend": "quanto"},
    "continuous_batching_config": {"page_size": 4},
    "token_healing": True,
    "prefill_chunk_size": 2,
    "synced_gpus": True,
    "guidance_scale": 1.5,
    "negative_prompt_ids": IDS,
    "negative_prompt_attention_mask": MASK,
    "decoder_inputs_embeds": torch.zeros(2, 1, 32),
    "decoder_attention_mask": MASK,
    "output_attentions": True,
    "output_hidden_states": True,
    "watermarking_config": {"bias": 2.0},
    "penalty_alpha": 0.6,
    "dola_layers": "low",
    "num_beam_groups": 2,
    "constraints": [object()],
    "force_words_ids": [[7]],
}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_exits_do_not_serve(bart, name):
    with pytest.raises(UserError, match=rf"cannot take {name} with exits.*\.network"):
        bart.generate(IDS, max_new_tokens=2, **{name: REFUSED[name]})


def test_every_refused_argument_is_tried():
    from tokenexit.decoding.generation_settings import REFUSED as ALL

    assert {*ALL} == {*REFUSED}


def test_the_cache_is_ours(bart):
    with pytest.raises(UserError, match="leave use_cache out"):
        bart.generate(IDS, use_cache=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"prompt_lookup_num_tokens": 3},
        {"guidance_scale": 3.0},
        {"output_attentions": True, "return_dict_in_generate": True},
        {"use_cache": False},
    ],
    ids=str,
)
def test_arguments_hidden_in_one_object_are_refused(bart, settings):
    name = next(iter(settings))
    with pytest.raises(UserError, match=name):
        bart.generate(IDS, generation_config=GenerationConfig(max_new_tokens=2, **settings))


def test_arguments_set_to_nothing_are_not_refused(bart):
    nothing = dict.fromkeys(REFUSED) | {
        "num_beam_groups": 1,
        "output_attentions": False,
        "use_cache": True,
    }
    expected = bart.generate(IDS, max_new_tokens=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(bart.generate(IDS, max_new_tokens=3, **nothing), expected)


def test_what_transformers_refuses_is_refused(bart):
    for settings in ({"max_new_tokns": 3}, {"num_return_sequences": 2}, {"max_length": 1}):
        with pytest.raises(UserError, match=next(iter(settings))):
            bart.generate(IDS, **settings)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (torch.tensor([[2, 5]]), "decoder_input_ids has 1 rows for 2 sources"),
        (torch.tensor([[2, 5], [2, 120]]), "decoder_input_ids go from 2 to 120"),
        (torch.tensor([2, 5]), r"decoder_input_ids must have shape"),
        ([[2], [2]], "decoder_input_ids must be a tensor"),
    ],
)
def test_prompts_that_cannot_be_read(bart, prompt, message):
    with pytest.raises(UserError, match=message):
        bart.generate(IDS, decoder_input_ids=prompt)


@both
@pytest.mark.parametrize(
    ("pending", "message"), [("lasy", "Did you mean 'lazy'"), ("drop", "Available: eager, lazy")]
)
def test_unknown_rule_for_pending_tokens(bart, way, pending, message):
    with pytest.raises(UserError, match=f"rule for pending tokens '{pending}'.*{message}"):
        getattr(bart, way)(IDS, pending=pending)


# --- policies -------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (policies.Window(), r"Window.* no meaning for generated tokens.*works for words"),
        ("per_sentence", r"PerSentence.* no meaning for generated tokens"),
        (policies.FromLayer(policies.Window(), 2), r"^Window.* no meaning"),
        (policies.AnyOf((policies.Margin(0.3), policies.Window())), r"^Window.* no meaning"),
        (policies.Oracle(), "Oracle.* looks at gold labels"),
        ({"name": "all_of", "policies": [{"name": "oracle"}]}, "Oracle.* looks at gold labels"),
        ("margn", "Did you mean 'margin'"),
    ],
    ids=str,
)
def test_policies_that_have_no_meaning_here(bart, way, policy, message):
    with pytest.raises(UserError, match=message):
        getattr(bart, way)(IDS, policy=policy)


def test_a_policy_that_needs_the_depth_head_where_there_is_none(bare):
    with pytest.raises(UserError, match="train a text generator with depth=true"):
        bare.generate(IDS, policy="predicted_depth", max_new_tokens=3)


@pytest.mark.parametrize("pending", PENDING)
def test_a_policy_that_needs_the_gate_where_there_is_none(bare, pending):
    for policy in ("learned_gate", policies.TwoStage(policies.LearnedGate(0.5), policies.Margin())):
        with pytest.raises(UserError, match="reads the learned gate, and the model has none"):
            bare.generate(IDS, policy=policy, pending=pending)


def test_decay_by_hand_needs_the_number_of_steps(bart):
    tokens = torch.tensor([2, 2])
    with pytest.raises(UserError, match="no largest number of steps"):
        bart.start(IDS, policy="decay").step(tokens)
    assert bart.start(IDS, policy="decay", max_steps=5).step(tokens).logits.shape == (2, 120)


# --- models and tokenizers ------------------------------------------------------------------


def test_half_of_an_encoder_decoder():
    bert = {"vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    encoder = AutoModelForMaskedLM.from_config(AutoConfig.for_model("bert", **bert))
    gpt = {"vocab_size": 120, "n_embd": 32, "n_layer": 1, "n_head": 4}
    decoder = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **gpt))
    for network in (encoder, decoder):
        with pytest.raises(UserError, match="is not an encoder-decoder"):
            ExitModelForSeq2SeqLM.from_transformers(network)


def test_a_tokenizer_with_more_entries_than_the_model(bart):
    with pytest.raises(UserError, match="tokenizer has 121 entries and the model 120"):
        ExitModelForSeq2SeqLM.from_transformers(bart.network, range(121))
    assert ExitModelForSeq2SeqLM.from_transformers(bart.network, range(120)).tokenizer is not None


@pytest.mark.parametrize(
    ("layers", "message"), [([5], "Exit layer 5 does not exist"), ("all", "must be a list")]
)
def test_exit_layers_that_do_not_exist(bart, layers, message):
    with pytest.raises(UserError, match=message):
        ExitModelForSeq2SeqLM.from_transformers(bart.network, exit_layers=layers)


def test_texts_without_a_tokenizer(bart):
    with pytest.raises(UserError, match="The model has no tokenizer"):
        bart.predict(["w7 w8"])
