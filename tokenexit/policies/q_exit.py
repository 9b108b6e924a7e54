"""Halt when it has become likely to have left by now (PALBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("q_exit")
@dataclass(frozen=True)
class QExit(Policy):
    """Halt when the probability of having left by this exit is above ``threshold``.

    The deterministic Q-exit of PALBERT (Balagansky and Gavrilov 2022). The gate says how likely a
    row is to leave here *if it has come so far*, ``lambda``; by the ``n``-th exit it has left with
    probability ``1 - (1 - lambda_1) ... (1 - lambda_n)``, and the exit taken is that distribution's
    quantile, 0.5 in the paper. No logits are read.

    This needs a gate trained by the objective ``palbert``. BERxiT's gate says how likely an exit
    is to be *wrong*, which would be taken the wrong way round here: for that one there is
    ``LearnedGate``.

    Args:
        threshold: 1 (never) to 0 (always at the first exit).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1; when asked, the model has no gate.
    """

    in_words = "probability of having left above {threshold}"

    threshold: float = number(0.5, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.0)
    reads_logits = False

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """Probability of being still here, 1 for everybody, ``[N]``."""
        return torch.ones(num_rows, device=device)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Take off what leaves here."""
        here = state * (1.0 - signals.gate.float())
        return 1.0 - here > self.threshold, here

    @classmethod
    def examples(cls) -> list[Self]:
        """The paper's setting and a stricter one."""
        return [cls(0.5), cls(0.8)]
