"""Halt when the best class leads the second by far (CALM)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import SurePolicy
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("margin")
@dataclass(frozen=True)
class Margin(SurePolicy):
    """Halt when the two largest probabilities differ by more than ``threshold``.

    CALM's softmax response (Schuster et al. 2022), which suits large vocabularies: the
    difference is small whenever two words compete, whatever the tail does.

    Args:
        threshold: 1 (never) to 0 (always, unless the best two are equal).
    """

    in_words = "best class ahead of the second by more than {threshold}"

    threshold: float = number(0.8, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.01, near_one=True)
    kernel_score = "margin"

    def score(self, signals: Signals) -> Tensor:
        """Best minus second probability, ``[N]``."""
        return scores.margin(signals.logits)
