"""Halt when the best class leads the second by far (CALM)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.signals import Signals


@POLICIES.register("margin")
@dataclass(frozen=True)
class Margin(ThresholdPolicy):
    """Halt when the two largest probabilities differ by more than ``threshold``.

    CALM's softmax response (Schuster et al. 2022), which suits large vocabularies: the
    difference is small whenever two words compete, whatever the tail does.

    Args:
        threshold: 1 (never) to 0 (always, unless the best two are equal).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1.
    """

    in_words = "best class ahead of the second by more than {threshold}"

    threshold: float = 0.8
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.01, near_one=True)
    allowed = (0.0, 1.0)
    kernel_score = "margin"
    sure_is_low = False

    def score(self, signals: Signals) -> Tensor:
        """Best minus second probability, ``[N]``."""
        return scores.margin(signals.logits)
