"""Halt when the exit's free energy is low (E-LANG)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, ThresholdSpec, check_number
from tokenexit.policies.rule import Network, Rule, one_score
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.signals import Signals


@POLICIES.register("energy")
@dataclass(frozen=True)
class Energy(ThresholdPolicy):
    """Halt when ``-logsumexp(logits)`` is below ``threshold``.

    E-LANG (Akbari et al. 2022). It reads the size of the logits, which softmax throws away,
    so the scale depends on the model: calibrate it.

    Args:
        threshold: Any finite number; lower is stricter.

    Raises:
        UserError: ``threshold`` is NaN or not finite.
    """

    threshold: float = -8.0
    own_threshold = ThresholdSpec("threshold", strict=-30.0, loose=0.0)

    def __post_init__(self) -> None:
        check_number(self, "threshold", -1e9, 1e9)

    def score(self, signals: Signals) -> Tensor:
        """Free energy, ``[N]``."""
        return scores.energy(signals.logits)

    def rule_for(self, network: Network) -> Rule:
        """One score, one threshold."""
        return one_score(network, "energy", self.threshold, self.sure_is_low)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual and a loose setting."""
        return [cls(-8.0), cls(-3.0)]
