"""Rearranged weights compute what the weights compute, and never outlive them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import AutoModelForTokenClassification

from tokenexit.backbones import BACKBONES, Backbone, adapt, prepack
from tokenexit.backbones.lean import PrepackedLinear

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN"
)
FAMILIES = [name for name, _ in BACKBONES.items()]
SDPA = [name for name in FAMILIES if name != "deberta-v2"]


def build(model_type: str = "bert", attention: str = "sdpa") -> Backbone:
    torch.manual_seed(0)
    config = BACKBONES.get(model_type).example_config(model_type)
    model = AutoModelForTokenClassification.from_config(config, attn_implementation=attention)
    return adapt(model.eval())


def top(backbone: Backbone, rows: int = 7) -> torch.Tensor:
    """Logits of some rows that passed through every layer in pieces."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(rows, backbone.hidden_size, generator=generator)
    places = torch.arange(rows)
    with torch.inference_mode():
        for index in range(backbone.num_layers):
            queries = backbone.queries(index, hidden, places)
            _, values = backbone.keys_values(index, hidden, places)
            hidden = backbone.combine(index, hidden, queries + values)
        return backbone.classify(backbone.finish(hidden))


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize("model_type", SDPA)
def test_computes_the_same(model_type: str, rows: int) -> None:
    backbone = build(model_type)
    packed = prepack(backbone)
    assert packed is not None
    assert any(isinstance(m, PrepackedLinear) for m in packed.backbone.model.modules())
    assert_close(top(packed.backbone, rows), top(backbone, rows), atol=1e-5, rtol=1e-5)


def test_leaves_the_model_alone() -> None:
    backbone = build()
    before = [type(module) for module in backbone.model.modules()]
    weights = dict(backbone.model.named_parameters())
    prepack(backbone)
    assert [type(module) for module in backbone.model.modules()] == before
    assert all(weights[name] is weight for name, weight in backbone.model.named_parameters())


def noise(linear: nn.Linear) -> torch.Tensor:
    return torch.randn(linear.weight.shape, generator=torch.Generator().manual_seed(2))


def _in_place(linear: nn.Linear) -> None:
    with torch.no_grad():
        linear.weight.add_(noise(linear))


def _replaced(linear: nn.Linear) -> None:
    linear.weight = nn.Parameter(linear.weight + noise(linear))


def _other_storage(linear: nn.Linear) -> None:
    linear.weight.data = linear.weight.data + noise(linear)


def _step(fused: bool) -> Callable[[nn.Linear], None]:
    def step(linear: nn.Linear) -> None:
        linear.weight.grad = noise(linear)
        torch.optim.AdamW([linear.weight], lr=0.5, fused=fused).step()

    return step


@pytest.mark.parametrize(
    "change",
    [_in_place, _replaced, _other_storage, _step(False), _step(True)],
    ids=["in-place", "replaced", "other-storage", "optimiser", "fused-optimiser"],
)
def test_notices_changed_weights(change: Callable[[nn.Linear], None]) -> None:
    backbone = build()
    packed = prepack(backbone)
    assert packed is not None
    assert packed.current
    top(packed.backbone)  # weights are rearranged when first used
    model: Any = backbone.model
    change(model.bert.encoder.layer[1].attention.self.value)
    assert not packed.current
    again = prepack(backbone)
    assert again is not None
    assert again.current
    assert_close(top(again.backbone), top(backbone), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(top(packed.backbone), top(backbone), atol=1e-3)


def test_a_listened_layer_keeps_its_listeners() -> None:
    backbone = build()
    model: Any = backbone.model
    heard = []
    model.bert.encoder.layer[0].intermediate.dense.register_forward_hook(lambda *_: heard.append(1))
    packed = prepack(backbone)
    assert packed is not None
    top(packed.backbone)
    assert heard


def test_gradients_flow_through_the_plain_weights() -> None:
    linear = nn.Linear(8, 8)
    PrepackedLinear(linear)(torch.ones(2, 8)).sum().backward()
    assert linear.weight.grad is not None


def test_no_rows() -> None:
    with torch.inference_mode():
        assert PrepackedLinear(nn.Linear(8, 4))(torch.ones(0, 8)).shape == (0, 4)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_start_without_it(clone: Callable[[Any], Any]) -> None:
    assert clone(prepack(build())) is None


def test_not_where_nothing_is_gained() -> None:
    assert prepack(build(attention="eager")) is None
    assert prepack(adapt(build().model.to(torch.bfloat16))) is None
