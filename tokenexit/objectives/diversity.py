"""Exits that are asked to differ, so that their votes are worth counting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.settings import exit_weights, number
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("diversity")
@dataclass(frozen=True)
class Diversity(Objective):
    """Early exiting with an ensemble of internal classifiers (Sun et al. 2021).

    Beside its cross-entropy each exit is rewarded for its distance to the *nearest* exit before
    it, whose answers stay fixed. The distance is the Jensen-Shannon divergence, which has an
    upper end, so that no exit wins by being infinitely wrong; the paper's own measure could not
    be verified.

    Args:
        share: Weight of the reward, 0 or more.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: A setting is out of range.
    """

    share: float = number(0.1, low=0)
    weights: str | float = exit_weights("depth")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Keep what earlier exits said."""
        return _Diverse(layer_weights(self.weights, info.exit_layers), self.share)


class _Diverse(JointLoss):
    def __init__(self, weights: dict[int, float], share: float) -> None:
        super().__init__(weights)
        self._share = share
        self._said: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        super().arrive(signals, words)
        said = scores.log_probabilities(signals.logits.index_select(0, signals.known))
        if self._said and self._share:
            gaps = torch.stack([scores.divergence(said, other) for other in self._said])
            weight = self._share * self._weights[signals.layer]
            self.add(-weight * gaps.min(dim=0).values.sum())
        self._said.append(said.detach())
        return None
