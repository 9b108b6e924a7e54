"""Rows at an exit, with what several features read computed once."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from tokenexit.scores import log_probabilities, predicted
from tokenexit.signals import Signals


class Seen:
    """What features may look at. Everything is computed when a feature first asks.

    Args:
        signals: The rows that arrived.
        projected: A few numbers of each state, ``[N, P]``, where a gate has a matrix for them.
    """

    def __init__(self, signals: Signals, projected: Tensor | None = None) -> None:
        self.signals = signals
        self.projected = projected

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.signals.hidden.device

    @cached_property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the classes, ``[N, C]``, float32."""
        return log_probabilities(self.signals.logits)

    @cached_property
    def probs(self) -> Tensor:
        """Probabilities of the classes, ``[N, C]``."""
        return self.log_probs.exp()

    @cached_property
    def named(self) -> Tensor:
        """The class that the exit names, ``[N]``, long; -1 for a row with a NaN."""
        return predicted(self.signals.logits)

    @cached_property
    def entropy(self) -> Tensor:
        """Normalised entropy, ``[N]``: 0 when certain, 1 when uniform."""
        classes = self.probs.shape[-1]
        nats = torch.special.entr(self.probs).sum(dim=-1)
        return nats / math.log(classes) if classes > 1 else nats

    @cached_property
    def margin(self) -> Tensor:
        """Probability of the best class minus that of the second, ``[N]``."""
        if self.probs.shape[-1] < 2:
            return torch.ones_like(self.probs[:, 0])
        best = self.probs.topk(2, dim=-1).values
        return best[:, 0] - best[:, 1]
