"""Temperature scaling: one number that calibrates probabilities (Guo et al. 2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOWEST, HIGHEST = 0.05, 20.0


class Temperature(nn.Module):
    """Divides logits by a number fitted after training, 1 until then."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.ones(()))
        self._seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, logits: Tensor) -> Tensor:
        """Logits ``[N, C]``, scaled."""
        return logits / self.value.to(logits.dtype)

    def observe(self, logits: Tensor, target: Tensor) -> None:
        """Keep some labelled rows.

        Args:
            logits: As this module scaled them, ``[N, C]``.
            target: Gold classes, -100 where unknown, ``[N]``.
        """
        known = target != -100
        unscaled = logits[known].double() * self.value
        self._seen.append((unscaled.detach(), target[known]))

    def finalize(self) -> None:
        """Take the temperature under which the rows seen are likeliest, and forget them."""
        seen, self._seen = self._seen, []
        rows = sum(len(target) for _, target in seen)
        if not rows:
            return
        logits = torch.cat([part for part, _ in seen])
        target = torch.cat([part for _, part in seen])
        self.value.fill_(best_temperature(logits, target))


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """The temperature of least negative log-likelihood, by golden section on its logarithm.

    The loss is convex in the inverse of the temperature, so there is one valley.

    Args:
        logits: ``[N, C]``.
        target: Gold classes, ``[N]``.
    """
    logits = logits.double()  # near the valley's floor, losses differ by less than float32 tells
    low, high = math.log(LOWEST), math.log(HIGHEST)
    ratio = (5**0.5 - 1) / 2

    def loss(place: float) -> float:
        return float(F.cross_entropy(logits / math.exp(place), target))

    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
