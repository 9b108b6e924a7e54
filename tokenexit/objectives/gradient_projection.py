"""Self-distillation whose exits never pull against the top (RomeBERT)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.errors import unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.self_distillation import DistillationLoss, SelfDistillation
from tokenexit.signals import Signals

LEADS = ("top", "exits")


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
        together: Whether all matrices of the layers below the last are compared as one, and
            nothing else, as in the released code; each weight alone otherwise.
        leads: ``top``, or ``exits`` where the top's gradient must not oppose theirs, as the
            released code has it outside MNLI and QQP.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    share: float = 0.9
    temperature: float = 3.0
    weights: str | float = "uniform"
    together: bool = False
    leads: str = "top"
    projects = True

    def __post_init__(self) -> None:
        self._distillation()
        if self.leads not in LEADS:
            raise unknown_name("gradient_projection.leads", self.leads, LEADS)

    def start(self, info: BatchInfo) -> BatchLoss:
        """As self-distillation, with a guide."""
        return _Guided(self._distillation(), info, self.leads)

    def _distillation(self) -> SelfDistillation:
        return SelfDistillation(self.share, self.temperature, self.weights)


class _Guided(DistillationLoss):
    def __init__(self, settings: SelfDistillation, info: BatchInfo, leads: str) -> None:
        super().__init__(settings, info)
        self._leads = leads

    def top(self, signals: Signals, weight: float) -> Tensor:
        """The top's loss leads."""
        self.guide = super().top(signals, weight)
        return self.guide

    def loss(self) -> Tensor:
        """The loss; if exits lead, all but the top's is the guide."""
        total = super().loss()
        if self._leads == "exits" and self.guide is not None:
            self.guide = total - self.guide
        return total
