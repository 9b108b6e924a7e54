"""The reference of the kernels in torch: what int8 means is defined here.

Integers agree bit for bit with the kernels, floats to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_STEP = 1e-12
"""A step is never smaller, so that rows and columns of zeros are no special case."""


def quantize_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights as bytes, each output channel with a step of its own.

    Args:
        weight: ``[N, K]``, float32.

    Returns:
        ``[N, K]``, int8 in -127 .. 127, and the steps ``[N]``: ``weight ~ bytes * step``.
    """
    step = (weight.abs().amax(1) / 127).clamp_min(LEAST_STEP)
    return (weight / step[:, None]).round().to(torch.int8), step


def quantize_rows(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows as bytes, each with a step and a zero of its own: no row depends on another.

    Args:
        rows: ``[N, K]``, float32.

    Returns:
        ``[N, K]``, uint8, the steps ``[N]`` and zeros ``[N]``, int32:
        ``rows ~ step * (bytes - zero)``.
    """
    low, high = rows.amin(1).clamp_max(0), rows.amax(1).clamp_min(0)
    step = ((high - low) / 255).clamp_min(LEAST_STEP)
    inverse = 1 / step
    zero = (-low * inverse).round()
    small = (rows * inverse[:, None] + zero[:, None]).round().clamp(0, 255)
    return small.to(torch.uint8), step, zero.to(torch.int32)


def linear_int8(rows: Tensor, weight: Tensor, step: Tensor, bias: Tensor | None) -> Tensor:
    """The product of quantised rows with quantised weights, exact in its integers.

    Args:
        rows: ``[N, K]``, float32.
        weight: ``[M, K]``, int8.
        step: ``[M]``, of the weights.
        bias: ``[M]``, or None.

    Returns:
        ``[N, M]``, float32.
    """
    small, row_step, zero = quantize_rows(rows)
    centred = small.to(torch.float64) - zero[:, None]
    sums = (centred @ weight.to(torch.float64).t()).float()  # whole numbers below 2^53: exact
    made = sums * row_step[:, None] * step
    return made if bias is None else made + bias


def activate(rows: Tensor, activation: str) -> Tensor:
    """One of ``matrix.ACTIVATIONS``."""
    match activation:
        case "none":
            return rows
        case "relu":
            return rows.relu()
        case "gelu":
            return F.gelu(rows)
        case "gelu_new":
            return F.gelu(rows, approximate="tanh")
        case "silu":
            return F.silu(rows)
        case "tanh":
            return rows.tanh()
    raise ValueError(activation)


def rms_norm(rows: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Rows ``[N, K]`` by the root of their mean square, times ``weight``."""
    return rows * (rows.square().mean(1, keepdim=True) + epsilon).rsqrt() * weight


def attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Of one head: queries ``[N, D]``, keys, values ``[M, D]``, bias ``[N, M]``, mask ``[M]``."""
    scores = queries @ keys.t() * scale
    for more in (bias, mask):
        if more is not None:
            scores = scores + more
    return scores.softmax(-1) @ values
