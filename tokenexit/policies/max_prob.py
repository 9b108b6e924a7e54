"""Halt when the predicted class has a high probability (The Right Tool for the Job)."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ScorePolicy
from tokenexit.policies.value import number


@POLICIES.register("max_prob")
@dataclass(frozen=True)
class MaxProb(ScorePolicy):
    """Halt when the largest probability is above ``threshold``.

    The Right Tool for the Job (Schwartz et al. 2020), CascadeBERT (Li et al. 2021). Calibrate
    the exits first: an over-confident exit is believed as it speaks.

    Args:
        threshold: 1 (never) to 0 (always).
    """

    in_words = "best class above {threshold}"

    threshold: float = number(0.9, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.05, near_one=True)
    kernel_score = "max_prob"
    sure_is_low = False
