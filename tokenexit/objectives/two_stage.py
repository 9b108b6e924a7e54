"""First the network, then the exits on the frozen network (DeeBERT)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.staged import Staged
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("two_stage")
@dataclass(frozen=True)
class TwoStage(Staged):
    """DeeBERT (Xin et al. 2020): fine-tune the top, then train exits with the rest frozen.

    ``split`` is as of ``Staged``.
    """

    regression = True

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
        return super().arrive(signals.detached(), words)
