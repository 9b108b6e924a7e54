"""Answers that are mixed by learned halting units (DACT-BERT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.settings import number, share
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("dact")
@dataclass(frozen=True)
class DACT(Objective):
    """Differentiable adaptive computation (Eyzaguirre et al. 2021).

    Each exit's gate says which share ``h_i`` of what is still undecided goes on; with
    ``p_i = h_1 ... h_i`` and ``p_0 = 1`` the answer is
    ``a_i = p_{i-1} y_i + (1 - p_{i-1}) a_{i-1}``. The loss is the cross-entropy of the last answer
    and ``ponder`` times the sum of the ``p_i``. Since the answer given out here is the exit's own,
    the exits' cross-entropies are trained beside it, at ``exits`` of the whole.

    Args:
        ponder: Price of going on, 0 or more.
        exits: Share of the exits' own cross-entropies, 0 to 1.

    Raises:
        UserError: A setting is out of range.
    """

    ponder: float = number(0.05, low=0)
    exits: float = share(0.5)

    asks: ClassVar[Mapping[str, str]] = {"gate": "units"}

    def start(self, info: BatchInfo) -> BatchLoss:
        """Mix the answers exit by exit."""
        weights = layer_weights("uniform", info.exit_layers)
        return _Mixing(self, {layer: self.exits * weight for layer, weight in weights.items()})


class _Mixing(JointLoss):
    def __init__(self, settings: DACT, weights: dict[int, float]) -> None:
        super().__init__(weights)
        self._settings = settings
        self._answer: Tensor | None = None
        self._on: Tensor | None = None

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        super().arrive(signals, words)
        said = signals.logits.float().softmax(dim=-1)
        on = torch.ones_like(said[:, 0]) if self._on is None else self._on
        before = torch.zeros_like(said) if self._answer is None else self._answer
        self._answer = on[:, None] * said + (1 - on)[:, None] * before
        known = signals.known
        rest = 1 - self._settings.exits
        if signals.layer == signals.num_layers:
            log_chances = self._answer[known].clamp_min(1e-9).log()
            gold = log_chances.gather(1, signals.target[known][:, None]).sum()
            even, smooth = log_chances.mean(dim=-1).sum(), self.label_smoothing
            self.add(-rest * ((1 - smooth) * gold + smooth * even))
            return None
        self._on = on * signals.gate
        self.add(rest * self._settings.ponder * self._on[known].sum())
        return None
