"""Whose heads these are."""

from __future__ import annotations

import pytest
import torch

from tokenexit.context.fingerprint import changed, fingerprint


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return {"a": torch.randn(5, 32) * 0.1, "b": torch.zeros(5), "c": torch.randn(64)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_same_in_another_type(weights, dtype):
    assert changed(fingerprint(weights), {k: v.to(dtype) for k, v in weights.items()}) is None


def test_another_model_and_a_step_of_training_show(weights):
    before = fingerprint(weights)
    for name in weights:
        moved = {**weights, name: weights[name] + 0.02 * torch.randn_like(weights[name])}
        assert changed(before, moved) == name
    assert changed(before, {"a": weights["a"]}) in ("b", "c")
    assert changed(before, {**weights, "d": weights["a"]}) == "d"


def test_weights_let_go_of_are_taken_on_trust(weights):
    meta = {**weights, "a": torch.empty(5, 32, device="meta")}
    assert changed(fingerprint(weights), meta) is None
