"""Tensors that travel together."""

from __future__ import annotations

import pytest
import torch

from tokenexit.transfer import cut, join, send

PARTS = [
    torch.tensor([True, False, True]),
    torch.arange(6).view(2, 3),
    torch.tensor([0.5, -1.0]),
    torch.zeros(0, dtype=torch.long),
    torch.tensor(7, dtype=torch.int32),
    torch.arange(8, dtype=torch.float64).view(2, 4).T,
    torch.tensor(3).expand(1),
]


def test_what_is_joined_comes_apart_as_it_was() -> None:
    found = cut(join(PARTS), PARTS)
    assert all(torch.equal(one, other) for one, other in zip(PARTS, found, strict=True))
    assert [one.dtype for one in found] == [one.dtype for one in PARTS]


def test_the_host_keeps_its_own() -> None:
    assert all(one is other for one, other in zip(send(PARTS, "cpu"), PARTS, strict=True))


@pytest.mark.parametrize("count", [0, 1, len(PARTS)])
def test_elsewhere_shapes_and_types_are_the_same(count: int) -> None:
    found = send(PARTS[:count], "meta")
    assert [(one.shape, one.dtype) for one in found] == [(p.shape, p.dtype) for p in PARTS[:count]]
    assert all(one.is_meta for one in found)
