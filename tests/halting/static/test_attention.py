"""Sentences end to end, as on a GPU in half precision: here with a page of obvious code for it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.backbones import BACKBONES
from tokenexit.halting import HALTED
from tokenexit.static import attention
from tokenexit.static.attention import end_to_end

SERVED = [name for name, _ in BACKBONES.items() if name not in ("deberta-v2", "modernbert")]


def plainly(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float,
    num_splits: int,
) -> Tensor:
    """What torch's kernel does; rows beyond the last sentence are left as they are in memory."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert num_splits == 1
    found = torch.full_like(query, float("nan"))
    bounds = [edges.tolist() for edges in (cu_seq_q, cu_seq_q[1:], cu_seq_k, cu_seq_k[1:])]
    for start, end, first, last in zip(*bounds, strict=False):
        assert end - start <= max_q
        assert last - first <= max_k
        asked, k, v = (
            part.transpose(0, 1) for part in (query[start:end], key[first:last], value[first:last])
        )
        if start < end:
            read = F.scaled_dot_product_attention(asked, k, v, scale=scale)
            found[start:end] = read.transpose(0, 1)
    return found


@pytest.fixture
def laid_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "end_to_end", lambda *_: True)
    monkeypatch.setattr(attention, "_kernel", lambda: (plainly, {"num_splits": 1}))


@pytest.mark.parametrize("halted", HALTED)
@pytest.mark.parametrize(
    "policy",
    [policies.Entropy(0.5), policies.Window(policies.Hash(1, 6), 3), policies.Saturation(0.5)],
    ids=repr,
)
def test_no_padding_and_the_same(
    build, sentences, eagerly, statically, policy, halted, laid_end_to_end
):
    network = build("bert")
    mine, other = (run(network, sentences, policy, halted) for run in (statically, eagerly))
    assert torch.equal(mine[0].exit_layers, other[0].exit_layers)
    assert_close(mine[0].logits, other[0].logits, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("model_type", SERVED)
def test_every_family_without_a_bias(
    build, sentences, eagerly, statically, model_type, laid_end_to_end
):
    network, policy = build(model_type), policies.Entropy(0.5)
    for chunk in (sentences, sentences[2:3]):
        mine, other = statically(network, chunk, policy), eagerly(network, chunk, policy)
        assert torch.equal(mine[0].exit_layers, other[0].exit_layers)
        assert_close(mine[0].logits, other[0].logits, atol=1e-10, rtol=1e-10)


class Rows:
    """Rows on a device that is not here."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device(device), dtype


@pytest.mark.parametrize("model_type", ["bert", "modernbert"])
@pytest.mark.parametrize("way", ["sdpa", "eager"])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_where_they_are_laid_so(build, monkeypatch, model_type, way, device, dtype):
    monkeypatch.setattr(attention, "find_spec", lambda name: name)
    served = model_type == "bert" and way == "sdpa" and device == "cuda"
    rows: Any = Rows(device, dtype)
    backbone = build(model_type, way, torch.float32).backbone
    assert end_to_end(backbone, rows) == (served and dtype != torch.float32)


def test_torch_knows_what_the_kernel_is_told():
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    kernel, told = attention._kernel()
    known = inspect.signature(varlen.varlen_attn).parameters
    assert kernel is varlen.varlen_attn
    assert {*list(known)[:7]} == {*list(inspect.signature(plainly).parameters)[:7]}
    assert {"scale", *told} <= {*known}
