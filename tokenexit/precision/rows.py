"""States in 8 bits, each row by itself: no row's numbers depend on its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 1e-12
"""Smallest scale, of rows and channels that are all zero."""


@dataclass(frozen=True, eq=False)
class QuantisedRows:
    """Rows ``x`` as ``(values - zero) * scale``.

    Attributes:
        values: ``[M, K]``, uint8.
        zero: What stands for 0, ``[M, 1]``, int32 from 0 to 255.
        scale: ``[M, 1]``, float32.
    """

    values: Tensor
    zero: Tensor
    scale: Tensor


def quantise_rows(rows: Tensor) -> QuantisedRows:
    """Asymmetric 8 bits over the range of each row, 0 included.

    Args:
        rows: ``[M, K]``, float32.
    """
    low = rows.amin(dim=-1, keepdim=True).clamp_max_(0.0)
    high = rows.amax(dim=-1, keepdim=True).clamp_min_(0.0)
    scale = high.sub_(low).div_(255.0).clamp_min_(LEAST)
    inverse = scale.reciprocal()
    zero = low.neg_().mul_(inverse).round_()
    values = rows.mul(inverse).add_(zero).round_().clamp_(0.0, 255.0).to(torch.uint8)
    return QuantisedRows(values, zero.to(torch.int32), scale)
