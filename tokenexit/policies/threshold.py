"""What all policies that compare one score with one threshold share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import Policy, State
from tokenexit.policies.rule import Network, Rule, Score, one_score
from tokenexit.signals import Signals


class ThresholdPolicy(Policy):
    """A row halts when its score is on the sure side of ``threshold``, strictly.

    Subclasses are frozen dataclasses with a field ``threshold``, of which ``number`` says from
    where to where it may be set. Comparing strictly makes the strictest setting mean *never*: no
    entropy is below 0, no probability above 1.

    Raises:
        UserError: ``threshold`` is NaN or out of range.
    """

    threshold: float
    sure_is_low: ClassVar[bool] = True

    kernel_score: ClassVar[Score | None] = None
    """The name that kernels have for the score; None where they have none."""

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

    def rule_for(self, network: Network) -> Rule | None:
        """One score, one threshold; None where kernels do not know the score."""
        if self.kernel_score is None:
            return None
        return one_score(network, self.kernel_score, self.threshold, self.sure_is_low)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """The usual setting, and one halfway from it to the loosest."""
        usual, spec = cls(), cls.own_threshold
        if spec is None:
            return [usual]
        return [usual, usual.with_threshold(round((usual.threshold + spec.loose) / 2, 3))]


class ScorePolicy(ThresholdPolicy):
    """A row halts by one of ``scores``, under the name that kernels have for it."""

    def score(self, signals: Signals) -> Tensor:
        """One number a row, of its logits, ``[N]`` float32."""
        return getattr(scores, str(self.kernel_score))(signals.logits)
