"""Attention made a few texts at a time is the attention of all texts at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit.halting import attention
from tokenexit.halting.attention import read_projected

SIZE, QUERIES, KEYS, HEADS, WIDTH = 5, 4, 6, 2, 3


class Backbone:
    """What ``read_projected`` asks of one."""

    def heads(self, index: int) -> int:
        return HEADS

    def attention_dropout(self, index: int) -> float:
        return 0.0

    def scaling(self, index: int) -> float:
        return WIDTH**-0.5

    def bias(self, index: int, asked: Tensor, key: Tensor, *places: Tensor) -> Tensor | None:
        return torch.linspace(-1, 1, HEADS * QUERIES * KEYS).view(1, HEADS, QUERIES, KEYS)


def states(rows: int) -> Tensor:
    return torch.randn(SIZE, rows, HEADS * WIDTH)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("given", ["nothing", "mask", "places", "share", "all"])
@pytest.mark.parametrize("cached", [1, 2 * HEADS * QUERIES * KEYS])
def test_a_few_texts_at_a_time(given, first, cached, monkeypatch):
    torch.manual_seed(0)
    asked, key, value = states(QUERIES), states(KEYS), states(KEYS)
    mask = torch.ones(SIZE, 1, 1, KEYS, dtype=torch.bool)
    mask[3, ..., 4:] = False
    places = torch.arange(QUERIES), torch.arange(KEYS)
    told = {
        "places": places if given in ("places", "all") else None,
        "mask": mask if given in ("mask", "all") else None,
        "share": torch.rand(SIZE, KEYS) if given in ("share", "all") else None,
    }

    def run() -> tuple[Tensor, list[Tensor]]:
        heard: list[Tensor] = []
        backbone: Any = Backbone()
        read = read_projected(
            backbone, 0, asked, key, value, told["places"], told["mask"],
            eager=True, note=heard.append, of_first=first, share=told["share"],
        )  # fmt: skip
        return read, heard

    whole, [heard] = run()
    monkeypatch.setattr(attention, "CACHED", cached)
    parts, [heard_in_parts] = run()
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(heard_in_parts, heard)
    assert heard.shape == (SIZE, 1 if first else QUERIES, KEYS)
    torch.testing.assert_close(heard.sum(dim=-1), torch.ones(heard.shape[:2]))


def test_gradients_need_all_at_once(monkeypatch):
    monkeypatch.setattr(attention, "CACHED", 1)
    shape = SimpleNamespace(shape=(SIZE, HEADS, QUERIES, WIDTH), device=torch.device("cpu"))
    shape.requires_grad = False
    key = torch.zeros(SIZE, HEADS, KEYS, WIDTH)
    assert len(attention._parts(shape, key)) == SIZE  # type: ignore[arg-type]
    assert attention._parts(shape, key.requires_grad_()) == [slice(0, SIZE)]  # type: ignore[arg-type]
    asked, key, value = (states(n).requires_grad_() for n in (QUERIES, KEYS, KEYS))
    backbone: Any = Backbone()
    read_projected(backbone, 0, asked, key, value, None, None, eager=True).sum().backward()
    assert asked.grad is not None
