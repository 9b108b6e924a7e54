"""How hard each word or text is to the model as it is: the loss of its top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.signals import Signals
from tokenexit.training.column import Column
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation


@PREPARATIONS.register("difficulty")
@dataclass(frozen=True)
class Difficulty(Preparation):
    """Columns of the model's own losses and mistakes, a number for each word (or text).

    ``loss`` is the cross-entropy at the top, 0 without a label; ``mistaken`` is 1 where the top
    names another class.
    """

    gives = ("loss", "mistaken")

    @torch.no_grad()
    def __call__(self, model: Any, material: Material) -> Mapping[str, Column]:
        """See ``Preparation``."""
        module = material.module(model).eval()
        parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self.gives}
        for laid in material.batches(module):
            top = _Top()
            module.run(laid, top)
            for name, values in zip(self.gives, top.told(), strict=True):
                parts[name].append((laid.numbers, values))
        return {
            name: Column.gathered("word", material.texts, found) for name, found in parts.items()
        }


class _Top:
    """A visitor that keeps what the top says."""

    def __init__(self) -> None:
        self._top: Signals | None = None

    def arrive(self, signals: Signals, words: Tensor) -> None:
        if signals.layer == signals.num_layers:
            self._top = signals

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        pass

    def told(self) -> tuple[Tensor, Tensor]:
        """Losses and mistakes, ``[W]`` each."""
        assert self._top is not None
        logits, target = self._top.logits.float(), self._top.target
        assert target is not None
        if target.is_floating_point():  # of a regression, whose answers are never simply wrong
            loss = (logits[:, 0] - target).square().masked_fill(target == -100, 0.0)
            return loss, torch.zeros_like(loss)
        loss = F.cross_entropy(logits, target, ignore_index=-100, reduction="none")
        return loss, ((logits.argmax(dim=-1) != target) & (target != -100)).float()
