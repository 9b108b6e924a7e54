"""Halt when successive exits predict the same class (PABEE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.rule import Network, Rule, one_score
from tokenexit.policies.value import whole
from tokenexit.signals import Signals


@POLICIES.register("patience")
@dataclass(frozen=True)
class Patience(Policy):
    """Halt when the predicted class has not changed ``patience`` times in a row.

    PABEE (Zhou et al. 2020), here with a counter for every row. Two equal predictions are one
    time, so the earliest exit is ``patience + 1``.

    Args:
        patience: How often an exit has to agree with the one before; more is stricter.

    Raises:
        UserError: ``patience`` is not a whole number from 1 to 1000.
    """

    in_words = "same class as the exit before, {patience:time} in a row"

    patience: int = whole(2, 1, 1000)
    own_threshold = ThresholdSpec("patience", strict=48, loose=1, integer=True, log=True)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """No class yet (-1) and a counter at 0, both ``[N]``."""
        last = torch.full((num_rows,), -1, dtype=torch.long, device=device)
        return last, torch.zeros_like(last)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Count the agreements of each row."""
        last, count = state
        best = scores.predicted(signals.logits)
        # -1 stands for no prediction, and two of those do not agree.
        count = torch.where((best == last) & (best >= 0), count + 1, 0)
        return count >= self.patience, (best, count)

    def rule_for(self, network: Network) -> Rule:
        """Agreeing so often in a row."""
        return one_score(network, "patience", 1.0, True, int(self.patience))

    @classmethod
    def examples(cls) -> list[Self]:
        """Short and usual patience."""
        return [cls(1), cls(2)]
