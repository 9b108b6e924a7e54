"""The engine and the plain reference agree, and what has left stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoding import PENDING

# T5 norms in single precision whatever its weights are.
CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}

SOME = ("hash", "margin")
ALL = (
    "two_stage assigned saturation gate context depth patience decay shortlist nested never".split()
)


@pytest.fixture(scope="module")
def long(make_sources: Any) -> Any:
    """Two sources with texts for which the cache has to grow."""
    return make_sources((5, 8), 42, seed=7)


def check(model: Any, sources: Any, policy: Any, pending: str, plain: Any, feed: Any) -> Any:
    logits, layers = feed(model, sources, policy, pending)
    expected, expected_layers = plain(model, sources, policy, pending)
    assert torch.equal(layers, expected_layers)
    assert_close(logits, expected, **CLOSE)
    return layers


def spread(layers: Any) -> int:
    """At how many different layers tokens left."""
    return len(layers.unique())


def test_reference_equals_the_model_at_full_depth(model, sources, plain):
    with torch.no_grad():
        expected = model.network(**sources.inputs, decoder_input_ids=sources.tokens).logits
    for pending in ("eager", "parallel"):
        logits, layers = plain(model, sources, policies.Never(), pending)
        assert_close(logits, expected, **CLOSE)
        assert {*layers.flatten().tolist()} == {4}


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("name", SOME)
def test_engine_agrees_with_reference(model, sources, name, pending, choose, plain, feed):
    layers = check(model, sources, choose(model, name), pending, plain, feed)
    assert spread(layers) >= 3, layers


@pytest.mark.parametrize("pending", ["lazy", "parallel"])
@pytest.mark.parametrize("name", ALL)
def test_engine_agrees_with_reference_for_further_policies(
    some_model, sources, name, pending, choose, plain, feed
):
    layers = check(some_model, sources, choose(some_model, name), pending, plain, feed)
    assert spread(layers) >= (1 if name == "never" else 3), layers


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("name", ["margin", "hash"])
def test_long_texts_outgrow_the_first_places(some_model, long, name, pending, choose, plain, feed):
    layers = check(some_model, long, choose(some_model, name), pending, plain, feed)
    assert layers.shape[1] > 32
    assert spread(layers[:, 32:]) >= 2


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize(
    ("exits", "name", "depths"),
    [
        ([2], "margin", 2),
        ([1, 3], "margin", 3),
        ([1, 3], "saturation", 2),  # it compares exits, and the first has nothing before it
        ([2], "saturation", 1),
        ([], "margin", 1),
    ],
)
def test_exits_at_some_layers_only(
    build, sources, exits, name, depths, pending, choose, plain, feed
):
    model = build("mbart")
    fewer = ExitModelForSeq2SeqLM.from_transformers(model.network, exit_layers=exits)
    policy = choose(model, name)
    if name == "saturation":  # over more layers a state turns further
        policy = policy.with_threshold(policy.threshold - 0.1)
    layers = check(fewer, sources, policy, pending, plain, feed)
    assert {*layers.flatten().tolist()} <= {*exits, 4}
    assert spread(layers) == depths


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["t5", "pegasus"])
def test_single_precision(build, sources, family, attention, feed, plain):
    """On sdpa with weights rearranged for the processor."""
    model = build(family, attention, torch.float32, tied=True)
    policy = policies.Hash(1, 4)
    for pending in PENDING:
        logits, layers = feed(model, sources, policy, pending)
        expected, expected_layers = plain(model, sources, policy, pending)
        assert torch.equal(layers, expected_layers)
        assert_close(logits, expected, atol=1e-3, rtol=1e-3)


def test_rules_for_pending_tokens_differ_where_they_should(model, sources, choose, feed):
    """Or the tests above could not tell them apart."""
    policy = choose(model, "hash")
    lazy, eager, parallel = (feed(model, sources, policy, pending) for pending in PENDING)
    assert_close(lazy[0], eager[0], **CLOSE)
    assert torch.equal(lazy[1], parallel[1])  # hash goes by the token alone
    assert not torch.allclose(lazy[0][:, 1:], parallel[0][:, 1:], **CLOSE)
    assert_close(lazy[0][:, 0], parallel[0][:, 0], **CLOSE)


@pytest.mark.parametrize("pending", ["lazy", "eager"])
def test_what_left_never_changes(some_model, long, pending, choose):
    """States, keys and values, bit for bit, through growth and copies."""
    decoding = some_model.start(**long.inputs, policy=choose(some_model, "margin"), pending=pending)
    kept: list[Any] = []
    for place, tokens in enumerate(long.tokens.T):
        step = decoding.step(tokens)
        kept.append((step.exit_layers, column(decoding, place)))
        if place == 20:
            swap = torch.tensor([1, 0])
            decoding.reorder(swap)
            kept = [(layers[swap], [part[swap] for part in parts]) for layers, parts in kept]
            assert_frozen(decoding, kept)
    assert_frozen(decoding, kept)
    assert spread(torch.stack([layers for layers, _ in kept])) >= 3


def column(decoding: Any, place: int) -> list[Any]:
    """State, keys and values of one place, each ``[R, ...]``, in the order of the rows."""
    order = torch.from_numpy(decoding._resident).argsort()
    cache = decoding.cache
    *layers, states = cache._stores  # those that nobody has reached are not there yet
    nothing = torch.zeros(len(order))
    return [nothing if part is None else part[order, place].clone() for part in (states, *layers)]


def assert_frozen(decoding: Any, kept: list[Any]) -> None:
    depth = decoding.decoder.num_layers
    for place, (layers, parts) in enumerate(kept):
        now = column(decoding, place)
        for row, layer in enumerate(layers.tolist()):
            # The states of those that went to the top are not kept.
            if layer < depth:
                assert now[0][row].equal(parts[0][row])
            for index in range(layer):
                assert now[1 + index][row].equal(parts[1 + index][row])


@pytest.mark.parametrize("pending", PENDING)
def test_a_stricter_threshold_lets_nobody_out_earlier_on_average(
    model, sources, pending, choose, feed
):
    margin = choose(model, "margin")
    settings = [0.0, margin.threshold / 2, margin.threshold, (1 + margin.threshold) / 2, 1.0]
    depths = [
        feed(model, sources, margin.with_threshold(value), pending)[1].double().mean()
        for value in settings
    ]
    assert depths == sorted(depths)
    assert depths[0] < depths[2] < depths[-1] == 4
