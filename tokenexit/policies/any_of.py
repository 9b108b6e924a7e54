"""Halt when one of several policies would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.group import GroupPolicy, ask_each
from tokenexit.policies.patience import Patience
from tokenexit.signals import Signals


@POLICIES.register("any_of")
@dataclass(frozen=True)
class AnyOf(GroupPolicy):
    """A row halts when at least one policy would let it out at this exit.

    All are asked each time, so that those which count see every exit.

    Args:
        policies: Who may let a row out; the first with a threshold is the one that calibration
            turns.

    Raises:
        UserError: ``policies`` is empty or holds something else.
    """

    in_words = "any of: {policies}"

    policies: tuple[Policy, ...]

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask all of them."""
        decisions, state = ask_each(self.policies, signals, state)
        return decisions.any(dim=0), state

    @classmethod
    def examples(cls) -> list[Self]:
        """A confident or patient rule."""
        return [cls((Entropy(0.3), Patience(2)))]
