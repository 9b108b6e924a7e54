"""Linear layers of the twin with weights in 8 bits, on rows that are quantised one by one.

The sums are integers and exact, so that a row gives the same numbers in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.backbones.reduced import Reduced, check_no_gradients, spans
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
        weights: ``[out_features, in_features]``.
        linear: See ``Reduced``.
        bias: See ``Reduced``.
    """

    precision = "int8"

    def __init__(
        self,
        weights: QuantisedWeights,
        linear: nn.Linear | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(weights.values.shape, linear, bias)
        self.weights = weights

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """Quantise a layer of float32 on the CPU."""
        return cls(quantise_weights(linear.weight.detach()), linear)

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``, without gradients."""
        check_no_gradients(rows, "int8")
        flat = rows.reshape(-1, self.in_features)
        step = max(_AT_ONCE // self.out_features, 1)
        if 0 < len(flat) <= step:
            made = self._product(flat)
        else:
            made = flat.new_empty(len(flat), self.out_features)
            for start in range(0, len(flat), step):
                made[start : start + step] = self._product(flat[start : start + step])
        return made.view(*rows.shape[:-1], self.out_features)

    def entries(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Some outputs of each row, those of ``forward``: ``[N, K], [N, S] -> [N, S]``."""
        quantised = quantise_rows(rows)
        # Exact in float64, and few.
        weights = F.embedding(ids, self.weights.values).double()
        centred = (quantised.values.to(torch.int32) - quantised.zero).double()
        sums = (weights @ centred[..., None])[..., 0]
        made = sums.float().mul_(quantised.scale).mul_(self.weights.scale[ids])
        return made if self._shift is None else made.add_(self._shift[ids])

    def _product(self, rows: Tensor) -> Tensor:
        """``[M, in_features] -> [M, out_features]``, all at once."""
        weights, quantised = self.weights, quantise_rows(rows)
        sums = integer_product(quantised.values, weights.values)
        sums = torch.addcmul(sums, quantised.zero, weights.total, value=-1)
        made = sums.float().mul_(quantised.scale).mul_(weights.scale)
        return made if self._shift is None else made.add_(self._shift)

    def _join(self, parts: Sequence[Any], bias: Tensor | None) -> Self:
        of = [part.weights for part in parts]
        whole = QuantisedWeights(
            torch.cat([w.values for w in of]),
            torch.cat([w.scale for w in of]),
            torch.cat([w.total for w in of]),
        )
        for part, span in zip(parts, spans(parts), strict=True):
            part.weights = whole.of(span)  # the same numbers, in one memory for both
        return type(self)(whole, bias=bias)

    def _cut(self, channels: slice, bias: Tensor | None) -> Self:
        return type(self)(self.weights.of(channels), bias=bias)
