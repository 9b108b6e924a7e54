"""Halt when the exits so far have voted clearly for one class (ensemble of exits)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number
from tokenexit.signals import Signals

DEEPEST = 48
"""Exits that can vote at the strict end of the threshold and still let nobody out."""


@POLICIES.register("vote")
@dataclass(frozen=True)
class Vote(Policy):
    """Halt when the leading class has ``threshold * n ** exponent`` of ``n`` exits' votes.

    Early exiting with ensemble internal classifiers (Sun et al. 2021): every exit votes for the
    class it predicts. Against ``Patience`` one dissenter starts nothing anew. That the paper
    divides the votes by a power of the depth was not verified, nor were its settings.

    The paper gives out the voted class. Here it is the exit's own, so a row leaves only at an
    exit that agrees with the vote (or with one of several leaders). Depth is the number of exits
    that were asked.

    Args:
        threshold: More is stricter; at 1 the first exit's vote is enough.
        exponent: How much of the votes is asked for as they grow: 0 is a fixed number of votes,
            near 1 a fixed share. At 1 itself the first exit always would have all the votes.

    Raises:
        UserError: ``threshold`` is no number from 0 to 1000, or ``exponent`` none from 0 to 0.9.
    """

    in_words = "{threshold} votes for the class, growing with the exits"

    threshold: float = number(1.5, 0.0, 1000.0)
    exponent: float = number(0.5, 0.0, 0.9)
    own_threshold = ThresholdSpec("threshold", strict=DEEPEST, loose=1.0, log=True)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """No votes yet, ``[N, 0]``, and none for the leader, ``[N]``."""
        votes = torch.zeros(num_rows, 0, dtype=torch.long, device=device)
        return votes, torch.zeros(num_rows, dtype=torch.long, device=device)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Count this exit's vote.

        The state is what each exit voted for, ``[N, E]`` (few numbers even where classes are
        words), and the votes of the leader, ``[N]``.
        """
        cast, lead = state
        best = scores.predicted(signals.logits)
        cast = torch.cat([cast, best[:, None]], dim=-1)
        # -1 stands for no prediction, which is nobody's vote.
        count = (cast == best[:, None]).sum(dim=-1).masked_fill(best < 0, 0)
        # Only this class has gained a vote, so no other can have taken the lead.
        lead = torch.maximum(lead, count)
        # Whole numbers: rounding must not decide at the boundary.
        needed = max(math.ceil(self.threshold * cast.shape[1] ** self.exponent), 1)
        return (count == lead) & (count >= needed), (cast, lead)

    def threshold_spec(self) -> ThresholdSpec:
        """``threshold``, from what a unanimous vote of many exits would not reach."""
        most = math.ceil(DEEPEST ** (1.0 - self.exponent))
        return ThresholdSpec("threshold", float(most), 1.0, log=True)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual setting, and a fixed number of votes."""
        return [cls(1.5), cls(2.0, exponent=0.0)]
