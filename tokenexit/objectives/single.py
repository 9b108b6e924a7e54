"""The top head alone: ordinary fine-tuning, the baseline of every comparison."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss


@OBJECTIVES.register("single")
@dataclass(frozen=True)
class Single(Objective):
    """Cross-entropy of the last layer only; exit heads stay as they are."""

    regression = True

    def start(self, info: BatchInfo) -> BatchLoss:
        """Only the top has a loss."""
        return JointLoss({info.exit_layers[-1]: 1.0})
