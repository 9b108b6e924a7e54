"""What all policies around one other policy share."""

from __future__ import annotations

import dataclasses
from typing import Self

import torch

from tokenexit.policies.base import Policy, State, ThresholdSpec, check_inner_policy


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
