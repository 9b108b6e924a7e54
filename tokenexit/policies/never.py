"""The policy that lets nobody out: the full-depth network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State
from tokenexit.policies.rule import Network, Rule, nobody
from tokenexit.signals import Signals


@POLICIES.register("never")
@dataclass(frozen=True)
class Never(Policy):
    """Nobody halts before the last layer."""

    in_words = "nobody leaves early"
    units = ("word", "token", "text", "number")
    reads_logits = False

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Let nobody out."""
        return signals.none(), state

    def rule_for(self, network: Network) -> Rule:
        """Asked nowhere."""
        return nobody(network.asked)
