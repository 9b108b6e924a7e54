"""Exits that are asked to differ, so that their votes are worth counting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
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

    share: float = 0.1
    weights: str | float = "depth"

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        if not self.share >= 0:
            raise UserError(f"diversity.share must be 0 or more, not {self.share!r}.")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Keep what earlier exits said."""
        return _Diverse(layer_weights(self.weights, info.exit_layers), self.share)


class _Diverse(BatchLoss):
    def __init__(self, weights: dict[int, float], share: float) -> None:
        super().__init__()
        self._weights, self._share = weights, share
        self._said: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        weight = self._weights[signals.layer]
        self.cross_entropy(signals, weight)
        said = scores.log_probabilities(signals.logits.index_select(0, signals.known))
        if self._said and self._share:
            gaps = torch.stack([scores.divergence(said, other) for other in self._said])
            self.add(-self._share * weight * gaps.min(dim=0).values.sum())
        self._said.append(said.detach())
        return None
