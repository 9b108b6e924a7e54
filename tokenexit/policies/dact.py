"""Halt when later exits can no longer change the accumulated answer (DACT-BERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("dact")
@dataclass(frozen=True)
class DACT(Policy):
    """Halt when what is still undecided is too little to change which class is first.

    DACT-BERT (Eyzaguirre et al. 2021), after Eyzaguirre and Soto (2020). With ``y_n`` the
    probabilities of exit ``n``, and ``p_n = h_1 ... h_n`` the share that goes on, the product of
    the gate's values, the answer is ``a_n = p_{n-1} y_n + (1 - p_{n-1}) a_{n-1}``. With ``d``
    layers to come, whatever they say, the best class keeps ``(1 - p_n)^d`` of what it has, and no
    other gains more than ``p_n d``. So when

        ``best * (1 - p_n)^d > second + p_n * d``

    the answer at the top has the same best class. That bound is safe, not tight. The released code
    of 2020 halts by it; that DACT-BERT does was not verified.

    What is given out is the exit's own prediction, not the accumulated answer, so a row leaves
    only where both agree. The gate has to be trained by the objective ``dact``; it is near 0 where
    an exit is to be trusted, so BERxiT's gate points the same way, but was not trained for this.

    Args:
        horizon: Share of the layers to come that is reckoned with: 1 is the bound above, 0 halts
            as soon as the exit agrees, and more than 1 is stricter than needed.

    Raises:
        UserError: ``horizon`` is no number from 0 to 100; when asked, the model has no gate.
    """

    in_words = "later exits cannot change the class (of {horizon} of the layers to come)"

    horizon: float = number(1.0, 0.0, 100.0)
    own_threshold = ThresholdSpec("horizon", strict=4.0, loose=0.0)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Add this exit to the answer and see whether it can still change.

        The state is None before the first exit, since only then the number of classes is known,
        and later the answer ``[N, C]`` and the share that goes on ``[N]``.
        """
        here = scores.log_probabilities(signals.logits).exp()
        if state is None:
            answer, share = here, torch.ones_like(here[:, 0])
        else:
            answer, share = state
            answer = share[:, None] * here + (1.0 - share[:, None]) * answer
        share = share * signals.gate.float()
        ahead = self.horizon * (signals.num_layers - signals.layer)
        first = answer.topk(min(2, answer.shape[-1]), dim=-1)
        second = first.values[:, 1] if answer.shape[-1] > 1 else 0.0
        settled = first.values[:, 0] * (1.0 - share) ** ahead > second + share * ahead
        agreed = first.indices[:, 0] == scores.predicted(signals.logits)
        return settled & agreed, (answer, share)

    @classmethod
    def examples(cls) -> list[Self]:
        """The paper's bound and a loose setting."""
        return [cls(), cls(0.2)]
