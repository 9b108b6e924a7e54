"""Whether the loss is still a number, asked at log entries instead of at every step."""

from __future__ import annotations

import logging

import torch

from tokenexit.training.step import Sums

logger = logging.getLogger(__name__)


class Finite:
    """Adds up losses where they are; what is no number stays so in a sum.

    Args:
        start: Step at which the training begins or goes on.
    """

    def __init__(self, start: int = 0) -> None:
        self._sum: torch.Tensor | None = None
        self._asked, self._told = start, False

    def add(self, sums: Sums) -> None:
        """Take in a step's losses; nobody waits."""
        if sums:
            added = torch.stack([loss for loss, _ in sums.values()]).sum()
            self._sum = added if self._sum is None else self._sum + added

    def ask(self, step: int) -> bool:
        """Whether all were numbers up to a step; if not, it is said once.

        Args:
            step: The last one taken in, from 1.
        """
        good = self._sum is None or bool(self._sum.isfinite())
        if not good and not self._told:
            self._told = True
            logger.warning(
                "The loss is no number any more since some step from %d to %d, and nothing is "
                "learned from there on: choose a smaller train.lr or train.head_lr, train.clip "
                "above 0, or precision bf16 instead of fp16.",
                self._asked + 1,
                step,
            )
        self._asked = step
        return good
