"""Weights in 8 bits: symmetric, each output channel by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.precision.rows import LEAST


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

    def of(self, channels: slice) -> QuantisedWeights:
        """Some output channels, in the same memory."""
        return QuantisedWeights(self.values[channels], self.scale[channels], self.total[channels])


def quantise_weights(weight: Tensor) -> QuantisedWeights:
    """Quantise a matrix ``[N, K]`` of float32."""
    with torch.inference_mode(False), torch.no_grad():
        scale = weight.abs().amax(dim=1).div_(127.0).clamp_min_(LEAST)
        values = weight.div(scale[:, None]).round_().to(torch.int8)
        return QuantisedWeights(values, scale, values.sum(dim=1, dtype=torch.int32))
