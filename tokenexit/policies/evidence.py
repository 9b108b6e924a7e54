"""Halt when the exits so far, taken together, are sure (a proposal of this project)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("evidence")
@dataclass(frozen=True)
class Evidence(Policy):
    """Halt on the margin of a running product of the exits' distributions.

    Log-probabilities are averaged over exits, each exit before counting ``memory`` times as much as
    the one after it, and the row halts once the softmax of that average has a lead above
    ``threshold`` *and* is led by the class that this exit names. A single exit that is sure by
    accident does not get a row out, as with patience; unlike patience, how sure each was
    counts, and a row that is clear from the start leaves at the first exit.

    Args:
        threshold: Lead of the first class over the second, 0 (first agreement) to 1 (never).
        memory: Weight of the past against the present, 0 (this exit alone, which is ``margin``) to
            1 (all exits alike).

    Raises:
        UserError: A number is NaN or outside 0..1.
    """

    in_words = "best class of all exits so far ahead by more than {threshold}"

    threshold: float = number(0.9, 0.0, 1.0)
    memory: float = number(0.5, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.0, near_one=True)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Add this exit to the average.

        The state is None before the first exit and later the weighted sum of log-probabilities
        ``[N, C]`` and of weights ``[N]``. An exit whose scores are not finite is forgotten at
        the next.
        """
        said = scores.log_probabilities(signals.logits)
        total, weight = said, torch.ones_like(said[:, 0])
        if state is not None and self.memory:
            sound = state[0].isfinite().all(dim=-1)
            total = total + self.memory * state[0].where(sound[:, None], 0.0)
            weight = weight + self.memory * state[1].where(sound, 0.0)
        together = total / weight[:, None]
        agreed = scores.predicted(together) == scores.predicted(signals.logits)
        return agreed & (scores.margin(together) > self.threshold), (total, weight)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual setting, and one without memory."""
        return [cls(0.8), cls(0.5, memory=0.0)]
