"""What inference on a CPU computes with gives what the plain modules give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForSeq2SeqLM
from transformers.models.t5.modeling_t5 import T5LayerNorm

from tokenexit.backbones import Inference
from tokenexit.backbones.inference_modules import (
    InferenceLinear,
    RootMeanSquareNorm,
    residual,
    side_by_side,
)
from tokenexit.decoders import adapt_decoder

SHAPES = [(1, 16), (2, 16), (0, 16), (40, 16), (3, 5, 16), (1, 5, 16), (1, 1, 16)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_width = pytest.mark.parametrize("width", [8, 16, 48])
with_bias = pytest.mark.parametrize("bias", [False, True])


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@each_shape
@each_width
@with_bias
@pytest.mark.parametrize("pack", [True, False])
def test_linear_and_what_is_joined_to_it(shape: Any, width: int, bias: bool, pack: bool) -> None:
    with torch.inference_mode(False):
        linear, other = nn.Linear(16, width, bias=bias), nn.Linear(16, 4, bias=bias)
    rows, rest = torch.randn(shape), torch.randn(*shape[:-1], width)
    before = rest.clone()
    lean, beside = InferenceLinear(linear, pack), InferenceLinear(other, pack)
    expected = F.linear(rows, linear.weight, linear.bias)
    assert_close(lean(rows), expected)
    assert_close(lean.relu(rows), expected.relu())
    assert_close(lean.plus(rows, rest), rest + expected)
    assert_close(residual(rest, lean, rows, nn.Identity()), rest + expected)
    assert_close(side_by_side(rows, lean, beside), torch.cat([expected, other(rows)], dim=-1))
    assert rest.equal(before)


def test_other_types_and_gradients_are_served_plainly() -> None:
    with torch.inference_mode(False):
        linear = nn.Linear(6, 4).double()
        lean = InferenceLinear(linear)
        rows = torch.randn(3, 6, dtype=torch.double, requires_grad=True)
        rest = torch.randn(3, 4, dtype=torch.double)
        for made in (lean(rows), lean.relu(rows), lean.plus(rows, rest)):
            assert made.dtype == torch.double
            assert torch.autograd.grad(made.sum(), rows)[0].abs().sum() > 0


@each_shape
def test_norm_is_that_of_t5(shape: Any) -> None:
    norm = T5LayerNorm(16, eps=1e-6)
    norm.weight.normal_()
    rows = torch.randn(shape)
    lean = RootMeanSquareNorm(norm.weight, norm.variance_epsilon)
    assert_close(lean(rows), norm(rows))
    # Where the constant matters.
    assert_close(lean(rows * 1e-4), norm(rows * 1e-4))


def twins(act: str) -> tuple[Any, Any]:
    with torch.inference_mode(False):
        config = AutoConfig.for_model(
            "t5", vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_layers=1, num_decoder_layers=2,
            num_heads=2, feed_forward_proj=act, decoder_start_token_id=0,
        )  # fmt: skip
        decoder = adapt_decoder(AutoModelForSeq2SeqLM.from_config(config).eval())
    return decoder, Inference(adapt_decoder, pack=True).get(decoder.model)


@pytest.mark.parametrize("act", ["relu", "gelu", "gated-gelu", "gated-relu"])
@pytest.mark.parametrize("count", [1, 3])
def test_feed_forward_blocks(act: str, count: int) -> None:
    decoder, twin = twins(act)
    rows = torch.randn(count, 16)
    assert type(twin._layers[0][-1]) is not type(decoder._layers[0][-1])
    for index in range(2):
        assert_close(twin.feed_forward(index, rows), decoder.feed_forward(index, rows))


@pytest.mark.parametrize("where", ["", "DenseReluDense", "DenseReluDense.act", "layer_norm"])
def test_a_block_that_is_listened_to_stays_as_it_is(where: str) -> None:
    decoder, _ = twins("gelu")
    heard: list[Tensor] = []
    block = decoder._layers[1][-1].get_submodule(where)
    block.register_forward_hook(lambda module, given, made: heard.append(made))
    Inference(adapt_decoder, pack=True).get(decoder.model).feed_forward(1, torch.randn(2, 16))
    assert len(heard) == 1
