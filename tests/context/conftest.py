"""Tables of what exits say, made up: sharper with depth, some words hard, neighbours alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tokenexit.context import Table

CLASSES = ("O", "B-PER", "I-PER")


@pytest.fixture(scope="session")
def make_table() -> Callable[..., Table]:
    """Factory of tables of texts of five words."""

    def make(texts: int = 200, exits: int = 4, seed: int = 0, classes: int = 3) -> Table:
        draw = torch.Generator().manual_seed(seed)
        rows = 5 * texts
        truth = torch.randint(classes, (rows,), generator=draw)
        hard = (torch.rand(rows, generator=draw) < 0.3).float()
        sharp = torch.linspace(2.0, 8.0, exits)[:, None, None] * (1.2 - hard)[None, :, None]
        noise = torch.randn(exits, rows, classes, generator=draw)
        logits = sharp * torch.nn.functional.one_hot(truth, classes) + 1.5 * noise
        return Table(
            logits=logits,
            sequence=torch.arange(texts).repeat_interleave(5),
            position=torch.arange(5).repeat(texts),
            gold=truth,
            layers=tuple(range(1, exits + 1)),
            classes=CLASSES[:classes],
        )

    return make
