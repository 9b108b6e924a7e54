"""What a row gets does not depend on batch, order, padding, or when its keys are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import ExitModelForSeq2SeqLM

CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}
# Eager propagation is held to lazy below, and to the reference elsewhere.
RULES = ("lazy", "parallel")
POLICIES = ("margin", "two_stage")
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampling": {"do_sample": True, "top_k": 20},
    "beams": {"num_beams": 3, "num_return_sequences": 2},
    "beam sampling": {"num_beams": 2, "do_sample": True},
    "prompt": {"decoder_input_ids": torch.tensor([[2, 20, 30]] * 4)},
}


def same(first: Any, second: Any) -> None:
    assert torch.equal(first[1], second[1])
    assert_close(first[0], second[0], **CLOSE)


# --- given tokens ---------------------------------------------------------------------------


@pytest.mark.parametrize("pending", RULES)
def test_batched_equals_one_by_one(model, sources, pending, choose, feed):
    policy = choose(model, "margin")
    logits, layers = feed(model, sources, policy, pending)
    for row in range(4):
        own = slice(row, row + 1)
        same(feed(model, sources.alone(row), policy, pending), (logits[own], layers[own]))


@pytest.mark.parametrize("pending", RULES)
def test_order_and_amount_of_padding_do_not_matter(model, sources, pending, choose, feed):
    policy, order = choose(model, "margin"), torch.tensor([2, 3, 0, 1])
    logits, layers = feed(model, sources, policy, pending)
    turned = sources.take(order)
    same(feed(model, turned, policy, pending), (logits[order], layers[order]))
    more = torch.ones(4, 5, dtype=torch.long)
    wider = replace(
        sources,
        input_ids=torch.cat([sources.input_ids, 99 * more], dim=1),
        mask=torch.cat([sources.mask, 0 * more], dim=1),
    )
    same(feed(model, wider, policy, pending), (logits, layers))


@pytest.mark.parametrize("family", ["t5", "mt5"])
def test_side_of_padding_does_not_matter_where_places_are_relative(
    build, sources, family, choose, feed
):
    model = build(family)
    ids, mask = (part.flip(1) for part in (sources.input_ids, sources.mask))
    count = mask.sum(dim=1)
    for row in range(4):  # the tokens in their order again, now on the right
        ids[row, 9 - count[row] :] = sources.input_ids[row, : count[row]]
    left = replace(sources, input_ids=ids, mask=mask)
    policy = choose(model, "margin")
    same(feed(model, left, policy), feed(model, sources, policy))


# --- generate -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(sources: Any, ends: Any, choose: Any) -> Any:
    """Generate with a policy, everything included."""

    def call(model: Any, name: str, sources: Any = sources, **settings: Any) -> Any:
        own = {"max_new_tokens": 12, "num_beams": 1, "do_sample": False}
        torch.manual_seed(1)
        return model.generate(
            **sources.inputs,
            policy=choose(model, name),
            return_dict_in_generate=True,
            output_logits=True,
            **{**own, "eos_token_id": ends(model, settings.pop("ended", sources)), **settings},
        )

    return call


def same_texts(first: Any, second: Any) -> None:
    assert torch.equal(first.sequences, second.sequences)
    assert torch.equal(first.exit_layers, second.exit_layers)
    for mine, theirs in zip(first.logits, second.logits, strict=True):
        assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", POLICIES)
def test_lazy_equals_eager(some_model, written, name, settings):
    lazy = written(some_model, name, pending="lazy", **settings)
    eager = written(some_model, name, pending="eager", **settings)
    same_texts(lazy, eager)
    assert len(lazy.exit_layers.unique()) >= 3
    if "num_beams" not in settings:  # copies make what they share once each
        assert lazy.work.of("projected").sum() <= eager.work.of("projected").sum()
    assert (lazy.work.of("rows") == eager.work.of("rows")).all()


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_lazy_equals_eager_in_all_families(model, written, settings):
    texts = [written(model, "margin", pending=rule, **settings) for rule in ("lazy", "eager")]
    same_texts(*texts)


@pytest.mark.parametrize("pending", RULES)
@pytest.mark.parametrize("beams", [1, 3])
def test_generating_batched_equals_one_by_one(some_model, sources, written, beams, pending):
    settings = {"pending": pending, "num_beams": beams, "ended": sources}
    whole = written(some_model, "margin", **settings)
    pad = some_model.network.config.pad_token_id
    for row in range(4):
        alone = written(some_model, "margin", sources.alone(row), **settings)
        length = alone.sequences.shape[1]
        assert torch.equal(alone.sequences[0], whole.sequences[row, :length])
        if beams == 1:  # beams are filled up with an end, or padding
            assert (whole.sequences[row, length:] == pad).all()
        layers = whole.exit_layers[row]
        assert torch.equal(alone.exit_layers[0], layers[: length - 1])
        assert not layers[length - 1 :].any()


@pytest.mark.parametrize("pending", RULES)
def test_generate_equals_an_own_loop(model, sources, written, ends, pending, choose):
    found = written(model, "margin", pending=pending)
    check_own_loop(model, sources, found, choose(model, "margin"), pending, ends, 1)


def test_generate_equals_an_own_loop_after_a_prompt(
    some_model, sources, written, ends, choose, monkeypatch
):
    """Under a policy that knows how many steps there will be: the prompt takes some of them."""
    start = some_model.network.generation_config.decoder_start_token_id
    prompt = torch.tensor([[start, 20 + n, 30, 40] for n in range(4)])
    most, begin = [], ExitModelForSeq2SeqLM.begin

    def spy(self: Any, *inputs: Any, **options: Any) -> Any:
        most.append(options["max_steps"])
        return begin(self, *inputs, **options)

    monkeypatch.setattr(ExitModelForSeq2SeqLM, "begin", spy)
    found = written(some_model, "decay", decoder_input_ids=prompt)
    assert most == [4 + 12 - 1]
    assert torch.equal(found.sequences[:, :4], prompt)
    check_own_loop(some_model, sources, found, choose(some_model, "decay"), "lazy", ends, 4)


def check_own_loop(
    model: Any, sources: Any, found: Any, policy: Any, pending: str, ends: Any, prompt: int
) -> None:
    words = torch.tensor(ends(model, sources))
    length = prompt + 12
    decoding = model.start(**sources.inputs, policy=policy, pending=pending, max_steps=length - 1)
    text = found.sequences[:, :prompt]
    for place in range(prompt - 1):
        decoding.step(text[:, place])
    going, layers = torch.ones(4, dtype=torch.bool), []
    while going.any() and text.shape[1] < length:
        step = decoding.step(text[:, -1], live=going)
        chosen = step.logits.argmax(dim=-1).where(going, model.network.config.pad_token_id)
        layers.append(step.exit_layers)
        text, going = torch.cat([text, chosen[:, None]], dim=1), going & ~torch.isin(chosen, words)
    assert torch.equal(text, found.sequences)
    assert torch.equal(torch.stack(layers, dim=1), found.exit_layers)
    assert (decoding.work.counts == found.work.counts).all()
