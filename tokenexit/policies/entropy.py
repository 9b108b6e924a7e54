"""Halt when the exit's distribution is peaked (DeeBERT, FastBERT)."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ScorePolicy
from tokenexit.policies.value import number


@POLICIES.register("entropy")
@dataclass(frozen=True)
class Entropy(ScorePolicy):
    """Halt when normalised entropy is below ``threshold``.

    DeeBERT (Xin et al. 2020) and FastBERT (Liu et al. 2020); normalised by ``log C`` as in
    FastBERT, so that one threshold serves any number of classes.

    Args:
        threshold: 0 (never) to 1 (always, unless uniform).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1.
    """

    in_words = "entropy below {threshold}"

    threshold: float = number(0.1, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1e-4, loose=0.9, log=True)
    kernel_score = "entropy"
