"""Halt when another policy would at several successive exits (PCEE-BERT)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, rule_of
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.patience import Patience
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_join import patient
from tokenexit.policies.value import whole
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.signals import Signals


@POLICIES.register("pcee")
@dataclass(frozen=True)
class PCEE(WrapperPolicy):
    """A row halts when the inner policy says so ``times`` exits in a row.

    PCEE-BERT (Zhang et al. 2022), patient and confident early exit, with entropy inside. An
    exit at which the inner policy does not agree starts the count anew.

    Args:
        policy: Who would halt on its own.
        times: Successive exits that have to agree; 1 is the inner policy itself.

    Raises:
        UserError: ``policy`` is no policy, or ``times`` no whole number from 1 to 1000.
    """

    in_words = "{policy}, {times:exit} in a row"

    policy: Policy = field(default=Entropy(0.1))
    times: int = whole(2, 1, 1000)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State of the inner policy, and a counter ``[N]`` at 0."""
        count = torch.zeros(num_rows, dtype=torch.long, device=device)
        return self.policy.init(num_rows, device), count

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the inner policy and count."""
        inner, count = state
        halt, inner = self.policy.step(signals, inner)
        count = torch.where(halt, count + 1, 0)
        return count >= self.times, (inner, count)

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy, with more patience."""
        return patient(rule_of(self.policy, network), network, int(self.times))

    @classmethod
    def examples(cls) -> list[Self]:
        """Around a policy without and one with a state."""
        return [cls(Entropy(0.5), 2), cls(Patience(1), 2)]
