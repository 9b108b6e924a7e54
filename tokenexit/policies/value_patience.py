"""Halt when successive exits tell nearly the same number (PABEE's regression)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.rule import Network, Rule, one_score
from tokenexit.policies.value import number, whole
from tokenexit.signals import Signals


@POLICIES.register("value_patience")
@dataclass(frozen=True)
class ValuePatience(Policy):
    """Halt when the number has moved less than ``threshold``, ``times`` exits in a row.

    PABEE (Zhou et al. 2020) for regression. There the threshold is fixed and the patience is
    turned; here it is the threshold that calibration turns, because it is the finer of the two.
    It counts in standard deviations of the training values, which is what exits tell.

    Args:
        threshold: How far the number may move from one exit to the next; less is stricter.
        times: How often it has to stay so near; the earliest exit is ``times + 1``.

    Raises:
        UserError: ``threshold`` is no number from 0, or ``times`` no whole number from 1 to 1000.
    """

    in_words = "value moved by less than {threshold}, {times:exit} in a row"

    threshold: float = number(0.1, 0.0, math.inf)
    times: int = whole(1, 1, 1000)
    units = ("number",)
    own_threshold = ThresholdSpec("threshold", strict=1e-4, loose=3.0, log=True)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """No number yet (NaN, near to nothing) and a counter at 0, both ``[N]``."""
        last = torch.full((num_rows,), math.nan, device=device)
        return last, torch.zeros(num_rows, dtype=torch.long, device=device)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Count for each row the exits that moved its number little."""
        last, count = state
        value = signals.logits[:, 0].float()
        count = torch.where((value - last).abs() < self.threshold, count + 1, 0)
        return count >= self.times, (value, count)

    def rule_for(self, network: Network) -> Rule:
        """Moving so little so often in a row."""
        return one_score(network, "change", self.threshold, True, int(self.times))

    @classmethod
    def examples(cls) -> list[Self]:
        """Once, and twice in a row."""
        return [cls(0.1), cls(0.3, 2)]
