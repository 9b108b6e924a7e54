"""The engine and the plain reference agree, and what has left stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.decoding import PENDING

# T5 norms in single precision whatever its weights are.
CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}

SOME = ("hash", "margin", "two_stage")
ALL = "assigned saturation gate patience decay shortlist nested never".split()


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


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("name", ALL)
def test_engine_agrees_with_reference_for_further_policies(
    some_model, sources, name, pending, choose, plain, feed
):
    layers = check(some_model, sources, choose(some_model, name), pending, plain, feed)
    assert spread(layers) >= (1 if name == "never" else 3), layers
