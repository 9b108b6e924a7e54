"""What all policies that compare one score with one threshold share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor

from tokenexit.policies.base import Policy, State
from tokenexit.signals import Signals


class ThresholdPolicy(Policy):
    """A row halts when its score is on the sure side of ``threshold``, strictly.

    Subclasses are frozen dataclasses with a field ``threshold``. Comparing strictly makes the
    strictest setting mean *never*: no entropy is below 0, no probability above 1.
    """

    threshold: float
    sure_is_low: ClassVar[bool] = True

    @abstractmethod
    def score(self, signals: Signals) -> Tensor:
        """One number a row, ``[N]`` float32."""

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare each row's score with the threshold."""
        return self.sure(self.score(signals)), state

    def sure(self, score: Tensor, threshold: Tensor | None = None) -> Tensor:
        """Which scores are on the sure side, ``[N]`` bool.

        Args:
            score: One number a row, ``[N]``.
            threshold: One for each row, ``[N]``; the policy's own for all when None.
        """
        limit = self.threshold if threshold is None else threshold
        return score < limit if self.sure_is_low else score > limit
