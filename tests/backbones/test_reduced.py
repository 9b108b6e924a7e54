"""Linear layers in few bits: whole, joined and in parts, with kernels and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tokenexit import kernels
from tokenexit.backbones.bf16 import Bf16Linear
from tokenexit.backbones.inference_modules import project, query_beside, residual, side_by_side
from tokenexit.backbones.int8 import Int8Linear
from tokenexit.backbones.reduced import Reduced
from tokenexit.precision import quantise_rows

KINDS: list[type[Reduced]] = [Int8Linear, Bf16Linear]
every_kind = pytest.mark.parametrize("kind", KINDS)
NEAR: dict[str, float] = {"atol": 0.06, "rtol": 0.02}


@pytest.fixture(params=["kernels", "torch"], autouse=True)
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(kernels, "library", lambda: None)
    elif kernels.library() is None:
        pytest.skip(kernels.status())
    return request.param


def linear(out: int = 40, seed: int = 0, bias: bool = True) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(24, out, bias=bias).requires_grad_(False)


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(2, 9, 24, generator=torch.Generator().manual_seed(1))


@every_kind
@pytest.mark.parametrize("bias", [True, False])
def test_near_the_layer_it_stands_for(kind: type[Reduced], rows: Any, bias: bool) -> None:
    given = linear(bias=bias)
    made, wanted = kind.of(given), given(rows)
    assert_close(made(rows), wanted, **NEAR)
    assert not torch.equal(made(rows), wanted)
    assert_close(made.relu(rows), made(rows).relu())
    state = torch.ones(2, 9, 40)
    assert_close(made.plus(rows, state), made(rows) + 1)
    assert torch.equal(state, torch.ones(2, 9, 40))
    assert_close(residual(state, made, rows, nn.Identity()), made(rows) + 1)
    assert made(rows[:, :0]).shape == (2, 0, 40)


def test_integers_of_kernels_and_torch_are_the_same(rows: Any) -> None:
    given = linear(bias=False)
    made, flat = Int8Linear.of(given), rows.flatten(0, 1)
    weights, q = made.weights, quantise_rows(flat)
    sums = (q.values.long() - q.zero) @ weights.values.long().T
    exact = sums.float() * q.scale * weights.scale
    assert_close(made(flat), exact, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("width", [512, 600])
def test_sums_that_float32_cannot_hold_are_exact(width: int) -> None:
    given = nn.Linear(width, 8, bias=False)
    given.weight.data = torch.ones(8, width)
    made = Int8Linear.of(given)
    rows = torch.full((3, width), 0.5)
    rows[:, 0], rows[2] = 1.0, 1.0  # the last has the largest sum there is
    q = quantise_rows(rows)
    sums = (q.values.long() - q.zero).sum(dim=1, keepdim=True) * 127
    exact = (sums.float() * q.scale * made.weights.scale).expand(3, 8)
    assert_close(made(rows), exact, atol=0.0, rtol=3e-7)


@pytest.mark.parametrize("count", [1, 3, 7000])
def test_long_inputs_are_cut(count: int) -> None:
    made = Int8Linear.of(linear(out=40))
    rows = torch.randn(count, 24, generator=torch.Generator().manual_seed(2))
    found = made(rows)
    assert torch.equal(found[-1:], made(rows[-1:]))
    assert torch.equal(found[:1], made(rows[:1]))


@every_kind
def test_joined_layers_give_what_each_gives(kind: type[Reduced], rows: Any) -> None:
    parts = [kind.of(linear(out, seed=out, bias=out != 8)) for out in (16, 8, 8)]
    each = [part(rows) for part in parts]
    first, *others = parts
    joined = first.beside(others)
    assert joined is first.beside(others)
    assert torch.equal(joined(rows), torch.cat(each, dim=-1))
    assert torch.equal(side_by_side(rows, *parts), torch.cat(each, dim=-1))
    assert all(map(torch.equal, project(rows, *parts), each))
    query, beside = query_beside(rows, *parts)
    assert torch.equal(query, each[0])
    assert torch.equal(beside, torch.cat(each[1:], dim=-1))
    assert all(torch.equal(part(rows), one) for part, one in zip(parts, each, strict=True))
    assert first.beside([linear()]) is None


@every_kind
def test_a_part_gives_some_of_the_outputs(kind: type[Reduced], rows: Any) -> None:
    made = kind.of(linear())
    assert torch.equal(made.part(slice(8, 24))(rows), made(rows)[..., 8:24])


@every_kind
def test_entries_are_those_of_the_whole(kind: type[Reduced]) -> None:
    made = kind.of(linear())
    rows = torch.randn(5, 24, generator=torch.Generator().manual_seed(2))
    ids = torch.tensor([[0, 39, 7]] * 5)
    assert_close(made.entries(rows, ids), made(rows).gather(1, ids), atol=2e-2, rtol=2e-2)


@every_kind
def test_weights_may_go_once_they_are_made(kind: type[Reduced], rows: Any) -> None:
    given = linear()
    made, late = kind.of(given), kind.of(given)
    wanted = made(rows)
    late.finalize()
    given.weight.zero_()
    assert torch.equal(late(rows), wanted)
    assert torch.equal(late.part(slice(0, 8))(rows), wanted[..., :8])
