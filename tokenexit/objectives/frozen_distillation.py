"""The network first; then its exits imitate it, and it stays as it is (FastBERT)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.staged import Staged
from tokenexit.signals import Signals


@OBJECTIVES.register("frozen_distillation")
@dataclass(frozen=True)
class FrozenDistillation(Staged):
    """FastBERT (Liu et al. 2020): train the top, freeze it, and let every exit copy its answers.

    The second stage minimises the sum of ``KL(p_i || p_top)`` over exits. It needs no labels: words
    and texts without any teach as well, in that stage only.

    Args:
        split: Share of the steps that the first stage takes; 0 where a phase before was that stage.

    Raises:
        UserError: ``split`` is neither 0 nor between 0 and 1.
    """

    unlabelled = True
    own_heads = True

    def __post_init__(self) -> None:
        if self.split:
            super().__post_init__()

    def start(self, info: BatchInfo) -> BatchLoss:
        """The top's cross-entropy before the split, imitation after it."""
        if info.progress < self.split or len(info.exit_layers) == 1:
            return JointLoss({info.exit_layers[-1]: 1.0})
        return _Imitation(1 / (len(info.exit_layers) - 1))


class _Imitation(BatchLoss):
    unlabelled = True

    def __init__(self, weight: float) -> None:
        super().__init__()
        self._weight = weight
        self._students: list[Tensor] = []

    def fork(self, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the gradient between head and network, which stays frozen."""
        return hidden.detach(), hidden.detach()

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        if signals.layer < signals.num_layers:
            signals = signals.detached()  # from the norm before the heads, too
        log_probs = F.log_softmax(signals.logits.float(), dim=-1)
        if signals.layer < signals.num_layers:
            self._students.append(log_probs)
            self.note(signals)
            return None
        teacher = log_probs.detach()
        for student in self._students:
            self.add(self._weight * F.kl_div(teacher, student, log_target=True, reduction="sum"))
        return None
