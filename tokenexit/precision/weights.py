"""Weights in 8 bits: symmetric, each output channel by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tokenexit.precision.rows import LEAST

_WHOLE = 1 << 24
"""Up to here float32 holds every whole number."""


@dataclass(frozen=True, eq=False)
class QuantisedWeights:
    """A matrix ``w`` as ``values * scale``.

    Attributes:
        values: ``[N, K]``, int8 from -127 to 127.
        scale: Of each output channel, ``[N]``, float32.
        total: Sum of each channel's values, ``[N]``, int32: what a row's zero is multiplied with.
    """

    values: Tensor
    scale: Tensor
    total: Tensor

    @cached_property
    def light(self) -> Tensor | None:
        """``total`` in float32, ``[N]``; None where float32 may not hold all sums of products.

        No sum is beyond 255 times the larger part of a channel, of one sign.
        """
        with torch.inference_mode(False), torch.no_grad():
            above = self.values.clamp_min(0).sum(dim=1, dtype=torch.int32)
            most = torch.maximum(above, above - self.total).max() if len(above) else 0
            return self.total.float() if 255 * int(most) <= _WHOLE else None

    def of(self, channels: slice) -> QuantisedWeights:
        """Some output channels, in the same memory."""
        return QuantisedWeights(self.values[channels], self.scale[channels], self.total[channels])


def quantise_weights(weight: Tensor) -> QuantisedWeights:
    """Quantise a matrix ``[N, K]`` of float32."""
    with torch.inference_mode(False), torch.no_grad():
        scale = weight.abs().amax(dim=1).div_(127.0).clamp_min_(LEAST)
        values = weight.div(scale[:, None]).round_().to(torch.int8)
        return QuantisedWeights(values, scale, values.sum(dim=1, dtype=torch.int32))
