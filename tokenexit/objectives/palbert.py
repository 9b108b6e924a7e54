"""A distribution over exits, kept near a prior (PALBERT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
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

    beta: float = 0.5
    prior: float = 0.1

    asks: ClassVar[Mapping[str, str]] = {"gate": "pair"}

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise UserError(f"palbert.beta must be 0 or more, not {self.beta!r}.")
        if not 0 < self.prior < 1:
            raise UserError(f"palbert.prior must be between 0 and 1, not {self.prior!r}.")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Follow what is left of every row."""
        return _Pondering(self)


class _Pondering(BatchLoss):
    def __init__(self, settings: PALBERT) -> None:
        super().__init__()
        self._settings = settings
        self._left: Tensor | None = None
        self._place = 0

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        self.note(signals)
        known = signals.known
        logits, target = signals.logits[known].float(), signals.target[known]
        smooth = self.label_smoothing
        entropy = F.cross_entropy(logits, target, reduction="none", label_smoothing=smooth)
        left = torch.ones_like(entropy) if self._left is None else self._left
        top = signals.layer == signals.num_layers
        leaving = torch.ones_like(entropy) if top else signals.gate[known]
        share = left * leaving
        self._left = left * (1 - leaving)
        self.add((share * entropy).sum())
        rate, place = self._settings.prior, self._place
        expected = (1 - rate) ** place * (1.0 if top else rate)
        gap = expected * (torch.log(torch.tensor(expected)) - share.clamp_min(1e-9).log())
        self.add(self._settings.beta * gap.sum())
        self._place += 1
        return None
