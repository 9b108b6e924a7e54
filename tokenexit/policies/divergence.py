"""Halt when successive exits have nearly the same distribution (F-PABEE, LECO)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number, whole
from tokenexit.signals import Signals


@POLICIES.register("divergence")
@dataclass(frozen=True)
class Divergence(Policy):
    """Halt when two successive exits diverge by less than ``threshold``, ``patience`` times.

    F-PABEE (Gao et al. 2023) and COBEE of LECO (Zhang et al. 2023), with the Jensen-Shannon
    divergence over ``log 2``: unlike a comparison of classes it notices a change of mind
    before it happens. The first exit has nothing to compare with and lets nobody out.

    Args:
        threshold: 0 (never) to 1 (always, unless the exits exclude each other).
        patience: Successive comparisons that have to be close.

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1, or ``patience`` no whole number from
            1 to 1000.
    """

    in_words = "distribution changed by less than {threshold}, {patience:exit} in a row"

    threshold: float = number(0.01, 0.0, 1.0)
    patience: int = whole(1, 1, 1000)
    own_threshold = ThresholdSpec("threshold", strict=1e-6, loose=0.9, log=True)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare with the exit before.

        The state is None before the first exit, since only then the number of classes is
        known, and later the last log-probabilities ``[N, C]`` and a counter ``[N]``.
        """
        now = scores.log_probabilities(signals.logits)
        if state is None:
            return signals.none(), (now, torch.zeros(len(now), dtype=torch.long, device=now.device))
        before, count = state
        close = scores.divergence(now, before) < self.threshold
        count = torch.where(close, count + 1, 0)
        return count >= self.patience, (now, count)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual setting and a patient one."""
        return [cls(0.05), cls(0.2, patience=2)]
