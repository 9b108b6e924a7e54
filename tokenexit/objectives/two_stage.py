"""First the network, then the exits on the frozen network (DeeBERT)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, layer_weights
from tokenexit.objectives.joint import JointLoss
from tokenexit.signals import Signals


@OBJECTIVES.register("two_stage")
@dataclass(frozen=True)
class TwoStage(Objective):
    """DeeBERT (Xin et al. 2020): fine-tune the top, then train exits with the rest frozen.

    Args:
        split: Share of the steps that the first stage takes.

    Raises:
        UserError: ``split`` is not between 0 and 1.
    """

    split: float = 0.6
    regression = True
    staged = True

    def __post_init__(self) -> None:
        if not 0 < self.split < 1:
            raise UserError(f"two_stage.split must be between 0 and 1, not {self.split!r}.")

    def start(self, info: BatchInfo) -> BatchLoss:
        """The top's loss before the split, the other exits' after it."""
        *below, top = info.exit_layers
        if info.progress < self.split or not below:
            return JointLoss({top: 1.0})
        return _HeadsOnly(layer_weights("uniform", tuple(below)))


class _HeadsOnly(JointLoss):
    def fork(self, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the gradient between head and network, which stays frozen."""
        return hidden.detach(), hidden.detach()

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """As ever, apart from the norm before the heads, too."""
        return super().arrive(signals.apart(), words)
