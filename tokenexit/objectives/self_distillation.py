"""Exits learn from the top's distribution as well as from the labels (RomeBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.settings import exit_weights, number, share
from tokenexit.objectives.weights import layer_weights
from tokenexit.renamed import renamed
from tokenexit.signals import Signals


@OBJECTIVES.register("self_distillation")
@dataclass(frozen=True)
class SelfDistillation(Objective):
    """Cross-entropy at the top; below it, a mix of labels and the top's soft targets.

    ``(1 - share) CE_i + share T^2 KL(p_top^T || p_i^T)`` with the top detached (RomeBERT, Geng
    et al. 2021). With ``share=1`` exits below the top need no labels, as with FastBERT's own
    ``frozen_distillation``. The divergence is summed over
    classes and averaged over words, so ``share`` means the same for any number of classes.

    Args:
        share: Weight of the soft targets, 0 to 1.
        temperature: ``T``, above 0.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: A setting is out of range.
    """

    share: float = share(0.5)
    temperature: float = number(2.0, above=0)
    weights: str | float = exit_weights("depth")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Collect every exit's logits; the divergences are added when the top is known."""
        return DistillationLoss(self, info)


class DistillationLoss(BatchLoss):
    """Cross-entropy everywhere, and the top's soft targets below it.

    Args:
        settings: The objective's.
        info: The batch.
    """

    def __init__(self, settings: SelfDistillation, info: BatchInfo) -> None:
        super().__init__()
        self._settings = settings
        self._weights = layer_weights(settings.weights, info.exit_layers)
        self._students: list[tuple[float, Tensor]] = []

    def top(self, signals: Signals, weight: float) -> Tensor:
        """Add the loss of the top, and return it."""
        return self.cross_entropy(signals, weight)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add this exit's loss; at the top, the divergences as well."""
        weight, share = self._weights[signals.layer], self._settings.share
        if signals.layer < signals.num_layers:
            self.cross_entropy(signals, weight * (1 - share))
            self._students.append((weight * share, signals.logits))
            return None
        self.top(signals, weight)
        assert signals.target is not None
        known, heat = signals.known, self._settings.temperature
        teacher = F.log_softmax(signals.logits.detach().float() / heat, dim=-1)[known]
        for scale, logits in self._students:
            student = F.log_softmax(logits.float() / heat, dim=-1)[known]
            gap = F.kl_div(student, teacher, log_target=True, reduction="sum")
            self.add(scale * heat**2 * gap)
        return None


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"DistillationLesson": DistillationLoss})
