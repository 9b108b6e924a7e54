"""Halt when the exit's free energy is low (E-LANG)."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ScorePolicy
from tokenexit.policies.value import number


@POLICIES.register("energy")
@dataclass(frozen=True)
class Energy(ScorePolicy):
    """Halt when ``-logsumexp(logits)`` is below ``threshold``.

    E-LANG (Akbari et al. 2022). It reads the size of the logits, which softmax throws away,
    so the scale depends on the model: calibrate it.

    Args:
        threshold: Any finite number; lower is stricter.

    Raises:
        UserError: ``threshold`` is NaN or not finite.
    """

    in_words = "energy below {threshold}"

    threshold: float = number(-8.0, -1e9, 1e9)
    own_threshold = ThresholdSpec("threshold", strict=-30.0, loose=0.0)
    kernel_score = "energy"
