"""Halt when the best class beats the second best, whatever the others get."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("best_of_two")
@dataclass(frozen=True)
class BestOfTwo(ThresholdPolicy):
    """Halt when, of the two best classes alone, the best has a probability above ``threshold``.

    Where classes are all sets of labels, the two best differ in one label, the one that is least
    sure: a text with several labels then leaves when its slowest label is sure.

    Args:
        threshold: 1 (never) to 0.5 (always, unless the two are equal).

    Raises:
        UserError: ``threshold`` is NaN or outside 0.5..1.
    """

    in_words = "of the two best classes, the better above {threshold}"

    threshold: float = number(0.9, 0.5, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.51, near_one=True)
    sure_is_low = False

    def score(self, signals: Signals) -> Tensor:
        """The best against the second, ``[N]``."""
        if signals.logits.shape[-1] < 2:
            return signals.logits.new_ones(len(signals)).float()
        best = signals.logits.float().topk(2, dim=-1).values
        return (best[:, 0] - best[:, 1]).sigmoid()
