"""Halt when several policies agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.group import GroupPolicy, ask_each
from tokenexit.policies.patience import Patience
from tokenexit.signals import Signals


@POLICIES.register("all_of")
@dataclass(frozen=True)
class AllOf(GroupPolicy):
    """A row halts when every policy would let it out at this exit.

    All are asked each time, so that those which count see every exit.

    Args:
        policies: Who has to agree; the first with a threshold is the one that calibration turns.

    Raises:
        UserError: ``policies`` is empty or holds something else.
    """

    in_words = "all of: {policies}"

    policies: tuple[Policy, ...]

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask all of them."""
        decisions, state = ask_each(self.policies, signals, state)
        return decisions.all(dim=0), state

    @classmethod
    def examples(cls) -> list[Self]:
        """A confident and patient rule."""
        return [cls((Entropy(0.6), Patience(1)))]
