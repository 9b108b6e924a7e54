"""Linear layers of the twin with weights in 8 bits, on rows that are quantised one by one.

The sums are integers and exact, so that a row gives the same numbers in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

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


class Int8Linear(Reduced):
    """A linear layer with quantised weights.

    Args:
        shape: See ``Reduced``.
        linear: See ``Reduced``; its weights are quantised.
        weights: In their place, quantised already.
        bias: See ``Reduced``.
    """

    precision = "int8"

    def __init__(
        self,
        shape: Sequence[int],
        linear: nn.Linear | None = None,
        weights: QuantisedWeights | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(shape, linear, bias)
        self._weights = weights

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """For a layer of float32 on the CPU."""
        return cls(linear.weight.shape, linear)

    @property
    def weights(self) -> QuantisedWeights:
        """``[out_features, in_features]``; those in the kernels' order are put back in order."""
        found, matrix = self._weights, self._matrix
        if found is None and matrix is not None:
            return QuantisedWeights(matrix.values(), matrix.scale, matrix.total)
        if found is None:
            found = quantise_weights(self.weight.detach())
            if self._library is None:
                self._weights = found
        return found

    def settle(self) -> None:
        """Make the weights, so that those they are made from may go."""
        _ = self.weights if self._library is None else self.matrix

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

    def _pack(self) -> kernels.Matrix:
        assert self._library is not None
        weights = self.weights
        self._weights = None
        given = weights.values, self._shift
        return kernels.Matrix(self._library, *given, "int8", step=weights.scale)

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

    def _join(self, parts: Sequence[Any], bias: Tensor | None) -> Self:
        of = [part.weights for part in parts]
        whole = QuantisedWeights(
            torch.cat([w.values for w in of]),
            torch.cat([w.scale for w in of]),
            torch.cat([w.total for w in of]),
        )
        start = 0
        for part in parts:  # the same numbers, in one memory for both
            if part._library is None:
                part._weights = whole.of(slice(start, start + part.out_features))
            start += part.out_features
        return type(self)(whole.values.shape, weights=whole, bias=bias)

    def _cut(self, channels: slice, bias: Tensor | None) -> Self:
        some = self.weights.of(channels)
        return type(self)(some.values.shape, weights=some, bias=bias)
