"""Weights in few bits are in memory once, whoever computes with them."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForTokenClassification

from tokenexit import kernels
from tokenexit.backbones import BACKBONES, Inference, adapt
from tokenexit.backbones.bf16 import Bf16Linear
from tokenexit.backbones.int8 import Int8Linear
from tokenexit.backbones.precise import served_layers
from tokenexit.halting.compiled import compile_encoder
from tokenexit.heads import ExitHeads

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="needs a compiler")


def held(kind: torch.dtype) -> int:
    """Bytes of all tensors of a type that anybody holds, each memory once."""
    gc.collect()
    found = [thing for thing in gc.get_objects() if type(thing) is Tensor]
    memory = [
        tensor.untyped_storage() for tensor in found if tensor.dtype == kind and not tensor.is_meta
    ]
    return sum({each.data_ptr(): each.nbytes() for each in memory}.values())


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(("precision", "kind"), [("int8", torch.int8), ("bf16", torch.bfloat16)])
def test_weights_are_held_once(precision: str, kind: torch.dtype, free: bool) -> None:
    """Whoever computes with them: modules, compiled layers, and all that are made from both."""
    before = held(kind)
    config: Any = BACKBONES.get("bert").example_config("bert")
    config.hidden_size, config.intermediate_size = 128, 192
    model: Any = AutoModelForTokenClassification.from_config(config).eval()
    inference = Inference(adapt, precision=precision)
    backbone = inference.get(model)
    if free:
        inference.free(model)
    heads = ExitHeads({"name": "linear"}, (1, 2, 3), 128, 2)
    compiled = compile_encoder(backbone, heads, precision)
    rows, places = torch.randn(5, 128), torch.arange(5)
    with torch.no_grad():
        separate = backbone.queries(0, rows, places), *backbone.keys_values(0, rows, places)
        together = backbone.queries_keys_values(0, rows, places)
    assert all(map(torch.equal, separate, together))
    assert compiled is not None
    each = sum(linear.weight.numel() for linear in served_layers(adapt(model))) * kind.itemsize
    assert held(kind) - before == each


@pytest.mark.parametrize("kind", [Int8Linear, Bf16Linear])
@pytest.mark.parametrize("width", [24, 64])
def test_parts_read_the_whole(kind: Any, width: int) -> None:
    """Whether their weights begin a panel or not; a bias of one's own is no other memory."""
    parts = [kind.of(nn.Linear(40, width)) for _ in range(3)]
    rows = torch.randn(7, 40)
    with torch.no_grad():
        wanted = torch.cat([part(rows) for part in parts], dim=-1)
        whole = parts[0].beside(parts[1:])
        assert torch.equal(whole(rows), wanted)
        assert torch.equal(torch.cat([part(rows) for part in parts], dim=-1), wanted)
        two = parts[1].beside(parts[2:])
        assert torch.equal(two(rows), wanted[:, width:])
        assert torch.equal(whole.part(slice(width, 2 * width))(rows), wanted[:, width : 2 * width])
        shifted = whole.matrix.part(0, 3 * width, whole.shift + 1)
        torch.testing.assert_close(shifted(rows), wanted + 1, atol=1e-5, rtol=1e-5)
    same = two.matrix._packed.untyped_storage().data_ptr()
    assert (same == whole.matrix._packed.untyped_storage().data_ptr()) == (width == 64)
    assert shifted._packed.data_ptr() == whole.matrix._packed.data_ptr()
    assert whole.matrix.part(1, 3 * width) is None
