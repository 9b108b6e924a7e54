"""Halt only when the neighbours are sure as well (TOKEE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, rule_of
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_join import pooled
from tokenexit.policies.value import whole
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.signals import Signals


@POLICIES.register("window")
@dataclass(frozen=True)
class Window(WrapperPolicy):
    """A row halts when every unfinished row within a window around it would.

    TOKEE (Li et al. 2021) takes the largest uncertainty over a window of ``size`` words; for
    a threshold that equals asking all of them, and the second form serves any inner policy.
    Rows that have halted already, and places outside the sentence, count as sure.

    Args:
        policy: Who would halt on its own.
        size: Words in the window, an odd number; 1 is the inner policy itself.

    Raises:
        UserError: ``size`` is even or out of range.
    """

    in_words = "{policy}, within {size:word}"

    policy: Policy = field(default=Entropy(0.1))
    size: int = whole(3, 1, 99)
    units = ("word",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise UserError(
                f"Window.size must be odd (a word and as many neighbours on either side), "
                f"not {self.size}."
            )

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the inner policy, then pool over each row's neighbourhood."""
        halt, state = self.policy.step(signals, state)
        halt = halt if signals.gone is None else halt | signals.gone
        if self.size == 1 or len(signals) == 0:
            return halt, state
        grid = torch.zeros(
            signals.num_sequences, signals.extent, device=halt.device, dtype=torch.float32
        )
        grid[signals.sequence, signals.position] = (~halt).float()
        unsure = F.max_pool1d(grid[:, None], self.size, stride=1, padding=self.size // 2)[:, 0]
        return unsure[signals.sequence, signals.position] == 0, state

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy, asked of neighbours as well."""
        return pooled(rule_of(self.policy, network), window=int(self.size))

    @classmethod
    def examples(cls) -> list[Self]:
        """Two widths."""
        return [cls(Entropy(0.3), 3), cls(Entropy(0.5), 5)]
