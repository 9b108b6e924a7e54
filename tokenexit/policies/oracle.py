"""Halt as soon as the exit is right: the bound no policy can pass."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit import scores
from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State
from tokenexit.signals import Signals


@POLICIES.register("oracle")
@dataclass(frozen=True)
class Oracle(Policy):
    """Halt at the first exit that predicts the gold class. For analysis only.

    Rows without a gold class (-100) never halt. The oracle of evaluations is another: it asks
    what full depth says, and no gold labels (``tokenexit.oracle``).

    Raises:
        UserError: When asked, there are no gold labels.
    """

    in_words = "first exit that names the gold class"
    needs_target = True

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare the prediction with the gold class."""
        if signals.target is None:
            raise UserError(
                "Oracle looks at gold labels, and none were given; it serves analysis only. "
                "Evaluate on labelled data, or choose a policy that reads the exit itself."
            )
        return scores.predicted(signals.logits) == signals.target, state
