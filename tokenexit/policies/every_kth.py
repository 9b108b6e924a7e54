"""Ask at every k-th layer only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, rule_of
from tokenexit.policies.divergence import Divergence
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.value import whole
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.signals import Signals


@POLICIES.register("every_kth")
@dataclass(frozen=True)
class EveryKth(WrapperPolicy):
    """The inner policy is asked at layers ``k``, ``2k``, ``3k`` and so on.

    Fewer exits cost fewer heads: with a large vocabulary, asking everywhere can cost more
    than it saves. A policy that compares exits compares those at which it is asked.

    Args:
        policy: Who decides there.
        k: Distance of the layers; 1 is the inner policy itself.

    Raises:
        UserError: ``policy`` is no policy, or ``k`` no whole number from 1 to 1000.
    """

    in_words = "{policy}, asked every {k:layer}"

    policy: Policy = field(default=Entropy(0.1))
    k: int = whole(2, 1, 1000)
    units = ("word", "token", "text", "number")

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the inner policy if it is the layer's turn."""
        if signals.layer % self.k != 0:
            return signals.none(), state
        return self.policy.step(signals, state)

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy, asked at multiples."""
        return rule_of(self.policy, network.only(lambda layer: layer % self.k == 0))

    @classmethod
    def examples(cls) -> list[Self]:
        """Around a policy without and one with a state."""
        return [cls(Entropy(0.5), 2), cls(Divergence(0.2), 2)]
