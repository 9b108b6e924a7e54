"""How selectors' numbers become what is computed of a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Asked:
    """What is asked of one layer.

    Attributes:
        layer: From 1.
        part: ``heads``, or ``neurons`` in their blocks.
        odds: Log-odds of needing each, ``[S, K]``.
        text: Numbers in the batch of the texts that ask, ``[S]``, on the host.
        macs: Multiply-accumulates of the part if all of it is computed, ``[S]``.
    """

    layer: int
    part: str
    odds: Tensor
    text: NDArray[np.int64]
    macs: Tensor


Choose = Callable[[Asked], Tensor]
"""What is computed, ``[S, K]``: 1 or 0, through which gradients may go."""


def kept(odds: Tensor, threshold: float) -> Tensor:
    """Which are at least so probable, ``[S, K]`` bool; the best one always.

    Args:
        odds: ``[S, K]``.
        threshold: A probability, 0 to 1; 0 keeps all.
    """
    best = odds.argmax(dim=-1, keepdim=True)
    line = torch.tensor(threshold, dtype=torch.float64).logit().item()
    return (odds >= line).scatter(-1, best, True)


def at_least(threshold: float) -> Choose:
    """By ``kept``."""
    return partial(_kept, threshold=threshold)


def _kept(asked: Asked, threshold: float) -> Tensor:
    return kept(asked.odds, threshold).to(asked.odds.dtype)
