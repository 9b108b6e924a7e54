"""Halt when the best class leads the second by far (CALM)."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ScorePolicy
from tokenexit.policies.value import number


@POLICIES.register("margin")
@dataclass(frozen=True)
class Margin(ScorePolicy):
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
    sure_is_low = False
