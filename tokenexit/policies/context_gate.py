"""Halt when a context gate trusts the exit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.rule import Network, Rule, one_score
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("context_gate")
@dataclass(frozen=True)
class ContextGate(Policy):
    """Halt when the gate's probability that this exit is wrong is below ``threshold``, strictly.

    The gate is fitted after training, by ``tokenexit fit-gate`` or ``fit_gate``, to cheap numbers
    of a row, of the exits before and of its neighbours, which stay as they were once they have
    left. For signals that stay the same, whoever has left, a stricter threshold never lets a row
    out earlier: a row's number does not depend on the threshold. In a run it does so through the
    neighbours alone: under a stricter threshold they leave later, and what they say later may make
    this row surer. Of a gate that looks at no neighbours, and of texts that leave as a whole, the
    promise holds without exception.

    Args:
        threshold: 0 (never) to 1 (always).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1; when asked, the model has no such gate.
    """

    in_words = "the gate expects an error with less than {threshold}"

    threshold: float = number(0.02, 0.0, 1.0)
    units = ("word", "token", "text")
    own_threshold = ThresholdSpec("threshold", strict=1e-4, loose=0.5, log=True)
    monotone: ClassVar[bool] = False

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the gate; the state is what it remembers of the rows."""
        if signals.context is None:
            raise UserError(
                "This policy reads a context gate, and the model has none: fit one to the finished "
                "model with `tokenexit fit-gate RUN --data D` (or tokenexit.training.fit_gate), or "
                "choose a policy that reads the exit's own confidence."
            )
        wrong, state = signals.context(signals, state)
        return wrong < self.threshold, state

    def rule_for(self, network: Network) -> Rule:
        """The gate's number below the threshold; kernels find the gate with the heads."""
        return one_score(network, "context", self.threshold, low=True)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual and a loose setting."""
        return [cls(0.1), cls(0.3)]
