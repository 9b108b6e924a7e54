"""int8 by its definition: each layer of a twin to the last bit, whole encoders to rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tokenexit import kernels
from tokenexit.backbones import Inference, adapt
from tokenexit.backbones.bf16 import Bf16Linear
from tokenexit.backbones.dense import DenseBf16, DenseInt8, dense
from tokenexit.backbones.int8 import Int8Linear
from tokenexit.backbones.precise import served_layers

ways = pytest.mark.parametrize("products", ["kernels", "torch"])


@pytest.fixture(autouse=True)
def _products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    products = request.getfixturevalue("products")
    if products == "torch":
        monkeypatch.setattr(kernels, "library", lambda: None)
    elif kernels.library() is None:
        pytest.skip(kernels.status())


@ways
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("width", [7, 32, 200])
def test_a_layer_to_the_last_bit(products: str, width: int, bias: bool) -> None:
    torch.manual_seed(width)
    linear = nn.Linear(width, 48, bias=bias)
    rows = torch.randn(33, width) * torch.logspace(-6, 6, 33)[:, None]
    with torch.no_grad():
        assert torch.equal(Int8Linear.of(linear)(rows), DenseInt8(linear)(rows))
        if products == "kernels":
            made, wanted = Bf16Linear.of(linear)(rows), DenseBf16(linear)(rows)
            assert ((made - wanted).abs() <= 1e-5 * rows.abs().amax(1, keepdim=True)).all()


@ways
def test_every_family(products: str, backbone: Any, batch: Any) -> None:
    twin = Inference(adapt, precision="int8").get(backbone.model)
    wanted = dense(backbone, adapt)
    assert len(served_layers(backbone)) == sum(
        isinstance(part, DenseInt8) for part in wanted.model.modules()
    )
    with torch.no_grad():
        states = []
        for network in (twin, wanted, backbone):
            hidden = network.embed(batch.input_ids, batch.positions)
            context = network.context(hidden, batch.mask)
            for layer in range(network.num_layers):
                hidden = network.layer(layer, hidden, context)
            states.append(network.finish(hidden)[batch.real])
    apart = (states[0] - states[1]).abs().amax(dim=-1)
    assert (apart < 1e-4).float().mean() > 0.9
    assert apart.max() < 0.1 * states[1].abs().max()
    assert (states[2] - states[1]).abs().median() > 1e-3
