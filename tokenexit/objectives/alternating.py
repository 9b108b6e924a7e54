"""The top and all exits by turns (BERxiT)."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.settings import exit_weights
from tokenexit.objectives.weights import layer_weights


@OBJECTIVES.register("alternating")
@dataclass(frozen=True)
class Alternating(Objective):
    """BERxiT (Xin et al. 2021): even steps train the top, odd steps every exit.

    The loss of an odd step is a sum over exits, not a mean, so that each counts as much there as
    the top does on even steps.

    Args:
        weights: Weights of the odd steps, ``depth`` or ``uniform`` (as published).
    """

    weights: str | float = exit_weights("uniform")
    regression = True

    def start(self, info: BatchInfo) -> BatchLoss:
        """Which turn it is depends on the step alone."""
        if info.step % 2 == 0:
            return JointLoss({info.exit_layers[-1]: 1.0})
        weights = layer_weights(self.weights, info.exit_layers)
        return JointLoss({layer: len(weights) * share for layer, share in weights.items()})
