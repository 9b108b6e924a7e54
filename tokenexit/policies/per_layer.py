"""A policy, or a threshold, of its own for every layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, rule_of
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.group import GroupPolicy, at_same_ratio
from tokenexit.policies.never import Never
from tokenexit.policies.patience import Patience
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_join import by_layer
from tokenexit.signals import Signals


@POLICIES.register("per_layer")
@dataclass(frozen=True)
class PerLayer(GroupPolicy):
    """The exit at layer ``l`` asks the ``l``-th policy, and later ones the last.

    Each policy sees only its own layers; one that compares exits starts with the first of
    them. The threshold is that of the first policy which has one, and turning it keeps the ratio
    of the others that have the same kind of threshold, as in TOKEE's doubled threshold in the upper
    half.

    Args:
        policies: One for each layer, from layer 1.

    Raises:
        UserError: ``policies`` is empty or holds something else.
    """

    in_words = "by layer: {policies}"

    policies: tuple[Policy, ...]

    @classmethod
    def thresholds(cls, policy: Policy, values: Sequence[float]) -> Self:
        """One kind of policy with a list of thresholds, from layer 1.

        Args:
            policy: Whose threshold is set to each of the values.
            values: Settings of its threshold.
        """
        return cls(tuple(policy.with_threshold(value) for value in values))

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the layer's policy."""
        turn = min(signals.layer, len(self.policies)) - 1
        halt, own = self.policies[turn].step(signals, state[turn])
        return halt, (*state[:turn], own, *state[turn + 1 :])

    def with_threshold(self, value: float) -> Self:
        """All policies with the same kind of threshold turned together, keeping their ratios."""
        leader = self.leader()
        if leader is None:
            raise UserError("PerLayer has no threshold to set: none of its policies has one.")
        first = self.policies[leader]
        members = [at_same_ratio(policy, first, value) for policy in self.policies]
        members[leader] = first.with_threshold(value)
        return dataclasses.replace(self, policies=tuple(members))

    def rule_for(self, network: Network) -> Rule | None:
        """Those of all policies in one, as long as they differ in thresholds only."""
        last = len(self.policies)
        rules = [
            rule_of(policy, network.only(lambda layer, turn=turn: min(layer, last) == turn))
            for turn, policy in enumerate(self.policies, 1)
        ]
        return by_layer(rules, network)

    @classmethod
    def examples(cls) -> list[Self]:
        """Rising thresholds, and different policies."""
        return [
            cls.thresholds(Entropy(), [0.2, 0.4, 0.6]),
            cls((Never(), Entropy(0.3), Patience(1))),
        ]
