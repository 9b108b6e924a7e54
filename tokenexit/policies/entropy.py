"""Halt when the exit's distribution is peaked (DeeBERT, FastBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, ThresholdSpec, check_number
from tokenexit.policies.rule import Network, Rule, one_score
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.signals import Signals


@POLICIES.register("entropy")
@dataclass(frozen=True)
class Entropy(ThresholdPolicy):
    """Halt when normalised entropy is below ``threshold``.

    DeeBERT (Xin et al. 2020) and FastBERT (Liu et al. 2020); normalised by ``log C`` as in
    FastBERT, so that one threshold serves any number of classes.

    Args:
        threshold: 0 (never) to 1 (always, unless uniform).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1.
    """

    threshold: float = 0.1
    own_threshold = ThresholdSpec("threshold", strict=1e-4, loose=0.9, log=True)

    def __post_init__(self) -> None:
        check_number(self, "threshold", 0.0, 1.0)

    def score(self, signals: Signals) -> Tensor:
        """Normalised entropy, ``[N]``."""
        return scores.entropy(signals.logits)

    def rule_for(self, network: Network) -> Rule:
        """One score, one threshold."""
        return one_score(network, "entropy", self.threshold, self.sure_is_low)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual and a loose setting."""
        return [cls(0.1), cls(0.5)]
