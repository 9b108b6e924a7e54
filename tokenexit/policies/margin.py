"""Halt when the best class leads the second by far (CALM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, ThresholdSpec, check_number
from tokenexit.policies.rule import Network, Rule, one_score
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

    threshold: float = 0.8
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.01, near_one=True)
    sure_is_low = False

    def __post_init__(self) -> None:
        check_number(self, "threshold", 0.0, 1.0)

    def score(self, signals: Signals) -> Tensor:
        """Best minus second probability, ``[N]``."""
        return scores.margin(signals.logits)

    def rule_for(self, network: Network) -> Rule:
        """One score, one threshold."""
        return one_score(network, "margin", self.threshold, self.sure_is_low)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual and a loose setting."""
        return [cls(0.8), cls(0.4)]
