"""A distribution over exits, kept near a prior (PALBERT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.leaving import Leaving
from tokenexit.objectives.settings import number
from tokenexit.signals import Signals


@OBJECTIVES.register("palbert")
@dataclass(frozen=True)
class PALBERT(Objective):
    """PonderNet on a pre-trained network (Balagansky and Gavrilov 2022).

    The gate gives each exit's chance ``l_i`` of being the one at which a row leaves, once it has
    come so far; ``q_i = l_i (1 - l_1) ... (1 - l_{i-1})`` and the top takes what is left; in
    the released code it has a gate too, and takes that gate's share only. The loss is
    ``sum_i q_i CE_i + beta KL(prior || q)``, the prior being geometric and cut at the top.

    Args:
        beta: Weight of the prior, 0 or more.
        prior: Its chance of leaving at each exit, between 0 and 1.

    Raises:
        UserError: A setting is out of range.
    """

    beta: float = number(0.5, low=0)
    prior: float = number(0.1, above=0, below=1)

    asks: ClassVar[Mapping[str, str]] = {"gate": "pair"}

    def start(self, info: BatchInfo) -> BatchLoss:
        """Follow what is left of every row."""
        return _Pondering(self)


class _Pondering(Leaving[PALBERT]):
    _place = 0

    def spread(self, signals: Signals, entropy: Tensor, left: Tensor) -> Tensor:
        top = signals.layer == signals.num_layers
        leaving = torch.ones_like(left) if top else signals.gate[signals.known]
        share = left * leaving
        self.add((share * entropy).sum())
        rate, place = self._settings.prior, self._place
        expected = (1 - rate) ** place * (1.0 if top else rate)
        gap = expected * (torch.log(torch.tensor(expected)) - share.clamp_min(1e-9).log())
        self.add(self._settings.beta * gap.sum())
        self._place += 1
        return left * (1 - leaving)
