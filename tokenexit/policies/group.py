"""What all policies made of several others share."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import Policy, State, ThresholdSpec, check_policies
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.patience import Patience
from tokenexit.signals import Signals


class GroupPolicy(Policy):
    """A policy that asks several; its threshold is that of the first member which has one.

    Subclasses are frozen dataclasses with a field ``policies``. The state is a tuple with one
    entry for each member.
    """

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_policies(self, "policies")

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """States of all members."""
        return tuple(policy.init(num_rows, device) for policy in self.policies)

    def threshold_spec(self) -> ThresholdSpec | None:
        """The threshold of the first member that has one."""
        leader = self.leader()
        return None if leader is None else self.policies[leader].threshold_spec()

    def threshold_value(self) -> float | None:
        """Where that member's threshold stands."""
        leader = self.leader()
        return None if leader is None else self.policies[leader].threshold_value()

    def with_threshold(self, value: float) -> Self:
        """The same group with that member set to ``value``, the others as they are."""
        leader = self.leader()
        if leader is None:
            raise UserError(
                f"{type(self).__name__} has no threshold to set: none of its policies has one."
            )
        members = list(self.policies)
        members[leader] = members[leader].with_threshold(value)
        return dataclasses.replace(self, policies=tuple(members))  # type: ignore[call-arg]

    def leader(self) -> int | None:
        """Number of the first member with a threshold."""
        with_one = (
            n for n, policy in enumerate(self.policies) if policy.threshold_spec() is not None
        )
        return next(with_one, None)


@dataclass(frozen=True)
class Together(GroupPolicy):
    """All members are asked at every exit, so that those which count see each.

    Raises:
        UserError: ``policies`` is empty or holds something else.
    """

    policies: tuple[Policy, ...]

    @abstractmethod
    def agreed(self, decisions: Tensor) -> Tensor:
        """Who halts by the members' decisions, ``[P, N] -> [N]``, bool."""

    @classmethod
    def examples(cls) -> list[Self]:
        """A rule for the sure and one for those that stay the same."""
        return [cls((Entropy(0.6), Patience(1)))]

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask all of them."""
        decisions, state = ask_each(self.policies, signals, state)
        return self.agreed(decisions), state


def ask_each(
    policies: Iterable[Policy], signals: Signals, states: State
) -> tuple[Tensor, tuple[State, ...]]:
    """Put the same rows to several policies.

    Returns:
        Their decisions, ``[P, N]`` bool for ``P`` policies, and their new states.
    """
    answers = [policy.step(signals, state) for policy, state in zip(policies, states, strict=True)]
    return torch.stack([halt for halt, _ in answers]), tuple(state for _, state in answers)


def at_same_ratio(policy: Policy, reference: Policy, value: float) -> Policy:
    """Turn a policy's threshold so that it keeps its ratio to a reference set to ``value``.

    A policy with another kind of threshold than the reference's, or with no positive ratio to it,
    stays as it is: a number would not mean the same to both.
    """
    spec, now, base = policy.threshold_spec(), policy.threshold_value(), reference.threshold_value()
    if spec is None or spec != reference.threshold_spec() or now is None or base is None:
        return policy
    if now * base <= 0 or value == base:
        return policy
    # The threshold's ends, where it stands and what the reference takes are all legal settings.
    legal = (spec.strict, spec.loose, now, value)
    return policy.with_threshold(min(max(value * now / base, min(legal)), max(legal)))
