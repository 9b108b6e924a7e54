"""Weights of the exits' losses that are learned with everything else (ELBERT)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.signals import Signals


@OBJECTIVES.register("learned_weights")
@dataclass(frozen=True)
class LearnedWeights(Objective):
    """ELBERT (Xie et al. 2021): ``w_i = sigmoid(W_i)`` below the top, the top gets the rest.

    The weights sum to ``total`` times the number of exits, unless those below the top alone weigh
    more; the loss is divided by that number, so that learning rates mean what they mean elsewhere.

    Args:
        total: Weight of an exit on average, 0.5 to 1; with 1 the top always weighs most.

    Raises:
        UserError: ``total`` is out of range.
    """

    total: float = 1.0
    regression = True

    def __post_init__(self) -> None:
        if not 0.5 <= self.total <= 1:
            raise UserError(f"learned_weights.total must be from 0.5 to 1, not {self.total!r}.")

    def learned(self, exit_layers: tuple[int, ...]) -> nn.Module | None:
        """One raw weight for each exit below the top."""
        return RawWeights(len(exit_layers) - 1)

    def start(self, info: BatchInfo) -> BatchLoss:
        """All exits, by their present weights."""
        assert info.learned is not None
        lower = info.learned()
        exits = len(info.exit_layers)
        top = (self.total * exits - lower.sum()).clamp_min(0)
        return _Weighted(torch.cat([lower, top[None]]) / exits)


class RawWeights(nn.Module):
    """Logits of weights.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(count))

    def forward(self) -> Tensor:
        """Weights between 0 and 1, ``[count]``."""
        return self.raw.sigmoid()


class _Weighted(BatchLoss):
    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self._weights, self._place = weights, 0

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        self.cross_entropy(signals, self._weights[self._place])
        self._place += 1
        return None
