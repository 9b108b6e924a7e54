"""Losses that follow which share of every row leaves at each exit."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.objectives.base import BatchLoss, Objective
from tokenexit.signals import Signals

Settings = TypeVar("Settings", bound=Objective)


class Leaving(BatchLoss, Generic[Settings]):
    """All of a row is there at the first exit, and what is left of it at the next ones.

    Args:
        settings: The objective.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._left: Tensor | None = None

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Nobody halts; words with a gold class count."""
        assert signals.target is not None
        self.note(signals)
        known = signals.known
        logits, target = signals.logits[known].float(), signals.target[known]
        entropy = F.cross_entropy(
            logits, target, reduction="none", label_smoothing=self.label_smoothing
        )
        left = torch.ones_like(entropy) if self._left is None else self._left
        self._left = self.spread(signals, entropy, left)
        return None

    @abstractmethod
    def spread(self, signals: Signals, entropy: Tensor, left: Tensor) -> Tensor:
        """Add the loss of an exit.

        Args:
            signals: Of the exit.
            entropy: Cross-entropy of each word with a gold class, ``[K]``.
            left: How much of it has come here, ``[K]``.

        Returns:
            How much of it goes on, ``[K]``; not looked at after the top.
        """
