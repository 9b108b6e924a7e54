"""What may stand in the place of ids: encoder states, vectors, the same ids by another name."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.errors import UserError

HASH = policies.Hash(1, 4)


def states_of(model: Any, sources: Any) -> Any:
    """States of other texts of the same lengths, so that using them shows."""
    other = sources.input_ids.where(~sources.mask.bool(), sources.input_ids % 80 + 9)
    encoder = model.network.get_encoder()
    with torch.no_grad():
        return encoder(input_ids=other, attention_mask=sources.mask).last_hidden_state


FORMS: dict[str, Any] = {
    "output": lambda states: BaseModelOutput(last_hidden_state=states),
    "tuple": lambda states: (states,),
    "list": lambda states: [states, None],
    "mapping": lambda states: {"last_hidden_state": states},
    "tensor": lambda states: states,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("settings", [{}, {"num_beams": 3, "num_return_sequences": 2}], ids=str)
def test_states_that_are_given_are_used(model, sources, transformers_generate, form, settings):
    states = states_of(model, sources)
    kept = states.clone()
    expected = transformers_generate(
        model, sources, encoder_outputs=BaseModelOutput(last_hidden_state=states.clone()),
        max_new_tokens=5, **settings,
    )  # fmt: skip
    call = {"policy": "never", "max_new_tokens": 5, **settings}
    given = {"encoder_outputs": FORMS[form](states), "attention_mask": sources.mask}
    assert torch.equal(model.generate(sources.input_ids, **given, **call), expected)
    assert torch.equal(model.generate(**given, **call), expected)
    assert torch.equal(states, kept)


@pytest.mark.parametrize("pending", ["lazy", "eager", "parallel", "verify"])
def test_states_and_exits(some_model, sources, pending):
    states = some_model.start(**sources.inputs).source.memory
    call = {"policy": HASH, "pending": pending, "max_new_tokens": 5}
    expected = some_model.generate(**sources.inputs, **call)
    given = {"encoder_outputs": (states,), "attention_mask": sources.mask}
    assert torch.equal(some_model.generate(**given, **call), expected)
    if pending != "verify":
        tokens = sources.tokens[:, 0]
        step = some_model.start(**given, policy=HASH, pending=pending).step(tokens)
        same = some_model.start(**sources.inputs, policy=HASH, pending=pending).step(tokens)
        assert torch.equal(step.logits, same.logits)


def test_vectors_in_the_place_of_ids(model, sources, transformers_generate):
    vectors = model.network.get_input_embeddings()(sources.input_ids)
    given = {"inputs_embeds": vectors, "attention_mask": sources.mask}
    expected = transformers_generate(
        model, type("Given", (), {"inputs": given})(), max_new_tokens=5
    )
    assert torch.equal(model.generate(**given, policy="never", max_new_tokens=5), expected)
    step = model.start(**given, policy=HASH).step(sources.tokens[:, 0])
    assert step.logits.shape == (4, 120)


def test_inputs_is_another_name_for_ids(some_model, sources):
    call = {"attention_mask": sources.mask, "policy": HASH, "max_new_tokens": 4}
    expected = some_model.generate(sources.input_ids, **call)
    assert torch.equal(some_model.generate(inputs=sources.input_ids, **call), expected)


def test_states_without_a_mask_are_all_read(some_model, sources, transformers_generate):
    states = states_of(some_model, sources)[:, :2].clone()
    output = BaseModelOutput(last_hidden_state=states)
    ones = {"attention_mask": torch.ones(4, 2), "encoder_outputs": output}
    expected = transformers_generate(
        some_model, type("Given", (), {"inputs": ones})(), max_new_tokens=4
    )
    found = some_model.generate(encoder_outputs=output, policy="never", max_new_tokens=4)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("way", ["generate", "start"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to read: give input_ids"),
        ({"encoder_outputs": "states"}, "encoder_outputs must be states"),
        ({"encoder_outputs": ()}, "encoder_outputs must be states .*not tuple"),
        ({"encoder_outputs": torch.zeros(2, 3, 7)}, r"shape \[B, S, 32\], not \[2, 3, 7\]"),
        ({"encoder_outputs": torch.zeros(2, 3, dtype=torch.long)}, "must be states"),
        ({"inputs_embeds": torch.zeros(2, 3)}, r"inputs_embeds must have shape \[B, S, 32\]"),
        (
            {"encoder_outputs": torch.zeros(2, 3, 32), "attention_mask": torch.ones(2, 4)},
            r"attention_mask has shape \[2, 4\] and encoder_outputs \[2, 3\]",
        ),
        (
            {"encoder_outputs": torch.zeros(2, 3, 32), "input_ids": torch.tensor([[5, 6, 7]])},
            "encoder_outputs has 2 rows and input_ids 1",
        ),
        (
            {"inputs_embeds": torch.zeros(1, 3, 32), "input_ids": torch.tensor([[5, 6, 7]])},
            "inputs_embeds stand in the place of input_ids",
        ),
        (
            {"inputs": torch.tensor([[5]]), "input_ids": torch.tensor([[5]])},
            "inputs and input_ids are the same thing",
        ),
        (
            {"encoder_outputs": torch.zeros(2, 3, 32), "encoder_policy": "hash"},
            "encoder_outputs have no tokens to ask",
        ),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit(build, way, given, message):
    with pytest.raises(UserError, match=message):
        getattr(build("bart"), way)(**given)


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_a_padding_token_that_ends_texts_is_read(family, build):
    network = copy.deepcopy(build(family).network)
    end = network.generation_config.eos_token_id
    network.config.pad_token_id = end
    model = ExitModelForSeq2SeqLM.from_transformers(network)
    ids = torch.tensor([[9, end, 12, end]])
    options = {"policy": "never", "max_new_tokens": 2, "output_logits": True}
    found, wanted = (
        model.generate(ids, mask, return_dict_in_generate=True, **options)
        for mask in (None, torch.ones_like(ids))
    )
    assert found.logits[0].equal(wanted.logits[0])
