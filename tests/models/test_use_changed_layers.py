"""Linear layers that are more than their weights, in few bits: computed as they are, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from tokenexit import kernels, policies

TEXTS = [["ada", "was", "born", "in", "london", "."], ["paris"]]

pytestmark = pytest.mark.parametrize("precision", ["int8", "bf16"])


@pytest.fixture(params=["kernels", "torch"], autouse=True)
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(kernels, "library", lambda: None)
    elif kernels.library() is None:
        pytest.skip(kernels.status())


class Wrapped(nn.Module):
    """As adapters of low rank wrap a layer."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        return self.base_layer(rows) + self.up(self.down(rows))


class Lora(nn.Linear):
    """As others make theirs of the layer itself."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base.in_features, base.out_features)
        self.weight, self.bias = base.weight, base.bias
        self.down = nn.Parameter(torch.randn(2, base.in_features))
        self.up = nn.Parameter(torch.randn(base.out_features, 2))

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows) + rows @ self.down.T @ self.up.T


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 2


def said(model: Any) -> np.ndarray:
    return model.tag(TEXTS, policy=policies.Never()).log_probs


def put(model: Any, kind: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """In the place of a layer that rows of all kinds pass."""
    output = model.network.bert.encoder.layer[1].output
    output.dense = kind(output.dense).eval()
    return output.dense


def check(model: Any, precision: str, before: np.ndarray) -> np.ndarray:
    """Near what float32 says with the change, and not what was said without it."""
    found = said(model)
    wanted = said(model.use(precision="fp32"))
    assert np.abs(found - wanted).max() < 0.3
    assert np.abs(wanted - before).max() > 0.5
    model.use(precision=precision)
    return found


@pytest.mark.parametrize("kind", [Wrapped, Lora])
def test_adapters_are_computed(make_tagger: Any, kind: Any, precision: str) -> None:
    tagger = make_tagger().use(precision=precision)
    before = said(tagger)
    torch.manual_seed(0)
    layer = put(tagger, kind)
    with torch.no_grad():
        for weight in (layer.up, layer.down):
            getattr(weight, "weight", weight).normal_()
    found = check(tagger, precision, before)
    with torch.no_grad():  # and what is done to them is seen
        getattr(layer.up, "weight", layer.up).mul_(-2)
    assert np.abs(said(tagger) - found).max() > 0.5


def test_parametrized_weights_are_computed(make_tagger: Any, precision: str) -> None:
    tagger = make_tagger().use(precision=precision)
    before = said(tagger)
    layer = tagger.network.bert.encoder.layer[1].output.dense
    parametrize.register_parametrization(layer, "weight", Twice())
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(3)
    check(tagger, precision, before)


def test_weight_norm_is_computed(make_tagger: Any, precision: str) -> None:
    tagger = make_tagger().use(precision=precision)
    before = said(tagger)
    layer = tagger.network.bert.encoder.layer[1].output.dense
    parametrizations.weight_norm(layer)
    assert np.abs(said(tagger) - before).max() < 0.3
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(6)
    check(tagger, precision, before)


def test_hooks_are_called_and_heeded(make_tagger: Any, precision: str) -> None:
    tagger = make_tagger().use(precision=precision)
    before = said(tagger)
    layer = tagger.network.bert.encoder.layer[1].output.dense
    hook = layer.register_forward_hook(lambda module, given, made: made * 6)
    check(tagger, precision, before)
    hook.remove()
    assert np.array_equal(said(tagger), before)
    early = layer.register_forward_pre_hook(lambda module, given: (given[0] * 6,))
    check(tagger, precision, before)
    early.remove()
    assert np.array_equal(said(tagger), before)


def test_tied_weights_stay_tied(make_tagger: Any, precision: str) -> None:
    tagger = make_tagger()
    layers = tagger.network.bert.encoder.layer
    layers[1].output.dense.weight = layers[0].output.dense.weight
    before = said(tagger.use(precision=precision))
    with torch.no_grad():
        layers[0].output.dense.weight.mul_(6)
    check(tagger, precision, before)
    found = said(tagger)
    assert np.array_equal(said(tagger.use(free=True)), found)
    assert layers[0].output.dense.weight.is_meta
    assert layers[1].output.dense.weight.is_meta
