"""Weights that were copied are watched: whatever changes them much is seen at the next call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit.backbones.watch import Watch


def tensors() -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = [(96, 64), (64, 96), (16, 16), (64,)]
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in shapes]


def step(fused: bool) -> Callable[[list[Tensor]], None]:
    def take(given: list[Tensor]) -> None:
        given[0].grad = torch.ones_like(given[0])
        torch.optim.AdamW([given[0]], lr=0.1, fused=fused).step()

    return take


SEEN: dict[str, Any] = {
    "optimiser": step(False),
    "fused optimiser": step(True),
    "counted": lambda given: given[1].detach().mul_(1.5),
    "data": lambda given: given[1].data.mul_(1.5),
    "row order": lambda given: given[0].data.copy_(given[0].data.flip(0)),
    "one column": lambda given: given[0].data[:, 9].zero_(),
    "one number of a small one": lambda given: given[2].data[3, 4].add_(1),
    "no number": lambda given: given[0].data.fill_(float("nan")),
}


@pytest.mark.parametrize("change", SEEN.values(), ids=SEEN.keys())
def test_seen_at_once(change: Callable[[list[Tensor]], None]) -> None:
    given = tensors()
    watch = Watch(given)
    assert all(watch.same() for _ in range(20))
    change(given)
    assert not watch.same()


@pytest.mark.parametrize("which", ["bias", "channel", "number"])
def test_seen_in_the_end(which: str) -> None:
    given = tensors()
    watch = Watch(given)
    if which == "bias":
        given[3].data.add_(1)
    elif which == "channel":
        given[0].data[77].add_(1)
    else:
        given[1].data[40, 41].add_(1)
    assert not all(watch.same(rows=512) for _ in range(17))


def test_nothing_to_watch() -> None:
    assert Watch([]).same(10**6)
