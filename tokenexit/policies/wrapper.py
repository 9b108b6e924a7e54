"""What all policies around one other policy share."""

from __future__ import annotations

import dataclasses
from typing import Self

import torch

from tokenexit.policies.base import Knob, Policy, State, check_policy


class WrapperPolicy(Policy):
    """A policy that asks one inner policy, keeps its state and turns its dial.

    Subclasses are frozen dataclasses with a field ``policy``.
    """

    policy: Policy

    def __post_init__(self) -> None:
        check_policy(self, "policy")

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State of the inner policy."""
        return self.policy.init(num_rows, device)

    def dial(self) -> Knob | None:
        """The inner policy's knob."""
        return self.policy.dial()

    def setting(self) -> float | None:
        """Where the inner policy's dial stands."""
        return self.policy.setting()

    def at(self, value: float) -> Self:
        """The same wrapping around a stricter or looser policy."""
        return dataclasses.replace(self, policy=self.policy.at(value))  # type: ignore[call-arg]
