"""What all policies around one other policy share."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies.base import Policy, State, ThresholdSpec, check_inner_policy, rule_of
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.rule import Network, Rule
from tokenexit.signals import Signals


class WrapperPolicy(Policy):
    """A policy that asks one inner policy, keeps its state and turns its threshold.

    Subclasses are frozen dataclasses with a field ``policy``.
    """

    policy: Policy

    def __post_init__(self) -> None:
        super().__post_init__()
        check_inner_policy(self, "policy")

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State of the inner policy."""
        return self.policy.init(num_rows, device)

    def threshold_spec(self) -> ThresholdSpec | None:
        """The inner policy's threshold."""
        return self.policy.threshold_spec()

    def threshold_value(self) -> float | None:
        """Where the inner policy's threshold stands."""
        return self.policy.threshold_value()

    def with_threshold(self, value: float) -> Self:
        """The same wrapping around a stricter or looser policy."""
        return dataclasses.replace(self, policy=self.policy.with_threshold(value))  # type: ignore[call-arg]


@dataclass(frozen=True)
class AskedAt(WrapperPolicy):
    """An inner policy that is asked at some layers only; at others nobody leaves.

    Raises:
        UserError: ``policy`` is no policy, or a layer or distance no whole number from 1 to 1000.
    """

    policy: Policy = field(default=Entropy(0.1))
    units = ("word", "token", "text", "number")

    @abstractmethod
    def asks(self, layer: int) -> bool:
        """Whether it is asked at a layer, from 1."""

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the inner policy if it is the layer's turn."""
        if not self.asks(signals.layer):
            return signals.none(), state
        return self.policy.step(signals, state)

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy, asked at those layers."""
        return rule_of(self.policy, network.only(self.asks))
