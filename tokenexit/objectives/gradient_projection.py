"""Self-distillation whose exits never pull against the top (RomeBERT)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.self_distillation import DistillationLoss, SelfDistillation
from tokenexit.signals import Signals


@OBJECTIVES.register("gradient_projection")
@dataclass(frozen=True)
class GradientProjection(Objective):
    """RomeBERT (Geng et al. 2021): one stage, soft targets, and gradient regularisation.

    The loss is that of ``self_distillation``; of the exits' gradient, what opposes the top's is
    taken out before each step.

    Args:
        share: Weight of the soft targets, 0 to 1.
        temperature: Of the soft targets.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: A setting is out of range.
    """

    share: float = 0.9
    temperature: float = 3.0
    weights: str | float = "uniform"
    projects = True

    def __post_init__(self) -> None:
        self._distillation()

    def start(self, info: BatchInfo) -> BatchLoss:
        """As self-distillation, with the top for a guide."""
        return _Guided(self._distillation(), info)

    def _distillation(self) -> SelfDistillation:
        return SelfDistillation(self.share, self.temperature, self.weights)


class _Guided(DistillationLoss):
    def top(self, signals: Signals, weight: float) -> Tensor:
        """The top's loss leads."""
        self.guide = super().top(signals, weight)
        return self.guide
