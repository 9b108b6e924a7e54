"""The product of 8-bit rows and 8-bit weights by torch, summed exactly.

Processors without VNNI multiply pairs of 8-bit numbers into 16 bits, which 255 * 127 twice
overflows: there torch's product saturates in silence. Rows are then cut into two parts that
cannot overflow, for twice the work.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

_multiplied: Any = torch._int_mm  # type: ignore[reportPrivateImportUsage]

_HALF = 127  # twice 127 * 127, or 128 * 127, fits into 16 bits


def integer_product(rows: Tensor, weights: Tensor) -> Tensor:
    """Sums over ``K`` in int32, ``[M, K] x [N, K] -> [M, N]``.

    Args:
        rows: uint8.
        weights: int8.
    """
    if rows.shape[1] < 2:  # of one column torch returns whatever is in memory
        return rows.int() @ weights.int().t()
    across = weights.t()
    if exact():
        return _multiplied(rows, across)
    low = rows.clamp_max(_HALF)
    both = _multiplied(torch.cat([low, rows - low]), across)
    return both[: len(rows)] + both[len(rows) :]


@cache
def exact() -> bool:
    """Whether torch sums the largest numbers there are exactly; asked of the machine once."""
    width = 64
    most = torch.full((4, width), 255, dtype=torch.uint8)
    for weight in (127, -127):
        weights = torch.full((width, width), weight, dtype=torch.int8)
        if not bool((_multiplied(most, weights.t()) == 255 * weight * width).all()):
            return False
    return True
