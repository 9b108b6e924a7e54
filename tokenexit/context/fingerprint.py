"""Which heads a gate was fitted to: three numbers of each of their weights.

Coarse enough to be the same in half precision, fine enough that a step of training shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

TOLERANCE = 0.01
"""Of the norm of a weight: rounding to bfloat16 moves a number by a fifth of it."""

DIGITS = 6


def fingerprint(weights: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """The norm of each weight, and two products with fixed vectors of about norm one.

    Args:
        weights: Of the heads, by name.
    """
    return {name: _numbers(weight) for name, weight in weights.items() if not weight.is_meta}


def changed(before: Mapping[str, Sequence[float]], weights: Mapping[str, Tensor]) -> str | None:
    """Name of a weight that is not what it was; None if all are, as far as they are still there.

    Args:
        before: From ``fingerprint``.
        weights: Of the heads that a gate is to be used with.
    """
    for name in {*before, *weights}:
        if name in weights and weights[name].is_meta:
            continue  # let go of, and so unchanged
        if name not in weights or name not in before:
            return name
        now, then = _numbers(weights[name]), before[name]
        least = TOLERANCE * max(float(then[0]), 1e-6)
        if not all(abs(a - b) <= least for a, b in zip(now, then, strict=True)):
            return name
    return None


@torch.no_grad()
def _numbers(weight: Tensor) -> list[float]:
    flat = weight.detach().flatten().double().cpu()
    place = torch.arange(1, len(flat) + 1, dtype=torch.float64)
    found = [flat.norm(), *(flat @ (math.sqrt(2) * torch.sin(place * step)) for step in (1.0, 2.7))]
    return [float(f"{float(number):.{DIGITS}g}") for number in found]
