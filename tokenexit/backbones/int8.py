"""Linear layers of the twin with weights in 8 bits, on rows that are quantised one by one.

The sums are integers and exact, so that a row gives the same numbers in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenexit import kernels
from tokenexit.backbones.reduced import Reduced
from tokenexit.precision import (
    QuantisedWeights,
    integer_product,
    quantise_rows,
    quantise_weights,
)

_AT_ONCE = 1 << 18
"""Sums made before they are rescaled: a megabyte of them stays in the cache."""


class Int8Linear(Reduced[QuantisedWeights]):
    """A linear layer with quantised weights; see ``Reduced``."""

    precision = "int8"

    def entries(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Some outputs of each row, those of ``forward``: ``[N, K], [N, S] -> [N, S]``."""
        if self._library is None:
            values, scale = self.weights.values[ids], self.weights.scale[ids]
        else:
            values, scale = self.matrix.values(ids), self.matrix.scale[ids]
        quantised = quantise_rows(rows)
        centred = (quantised.values.to(torch.int32) - quantised.zero).double()
        sums = (values.double() @ centred[..., None])[..., 0]  # exact, and few
        made = sums.float().mul_(quantised.scale).mul_(scale)
        return made if self._shift is None else made.add_(self._shift[ids])

    def _by_torch(self, rows: Tensor) -> Tensor:
        flat = rows.reshape(-1, self.in_features)
        step = max(_AT_ONCE // self.out_features, 1)
        if 0 < len(flat) <= step:
            made = self._product(flat)
        else:
            made = flat.new_empty(len(flat), self.out_features)
            for start in range(0, len(flat), step):
                made[start : start + step] = self._product(flat[start : start + step])
        return made.view(*rows.shape[:-1], self.out_features)

    def _product(self, rows: Tensor) -> Tensor:
        """``[M, in_features] -> [M, out_features]``, all at once."""
        weights, quantised = self.weights, quantise_rows(rows)
        sums = integer_product(quantised.values, weights.values)
        light = weights.light
        if light is None:
            made = torch.addcmul(sums, quantised.zero, weights.total, value=-1).float()
        else:
            made = sums.float().addcmul_(quantised.below, light)
        made.mul_(quantised.scale).mul_(weights.scale)
        return made if self._shift is None else made.add_(self._shift)

    def _rounded(self, weight: Tensor) -> QuantisedWeights:
        return quantise_weights(weight)

    def _packed(self, weights: QuantisedWeights) -> kernels.Matrix:
        assert self._library is not None
        given = weights.values, self._shift
        return kernels.Matrix(self._library, *given, "int8", step=weights.scale)

    def _unpacked(self, matrix: kernels.Matrix) -> QuantisedWeights:
        return QuantisedWeights(matrix.values(), matrix.scale, matrix.total)

    def _beside(self, weights: Sequence[QuantisedWeights]) -> QuantisedWeights:
        return QuantisedWeights(
            torch.cat([w.values for w in weights]),
            torch.cat([w.scale for w in weights]),
            torch.cat([w.total for w in weights]),
        )

    def _some(self, weights: QuantisedWeights, channels: slice) -> QuantisedWeights:
        return weights.of(channels)
