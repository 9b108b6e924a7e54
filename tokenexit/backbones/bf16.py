"""Linear layers of the twin on a CPU with weights in bfloat16, half the memory to read.

Products are summed in float32, and the states between them stay float32. Torch rounds the rows
as well, and each sum once; kernels do neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit import kernels
from tokenexit.backbones.reduced import Reduced


class Bf16Linear(Reduced):
    """A linear layer with weights in bfloat16.

    Args:
        shape: See ``Reduced``.
        linear: See ``Reduced``; its weights are rounded.
        weights: In their place, rounded already.
        bias: See ``Reduced``.
    """

    precision = "bf16"

    def __init__(
        self,
        shape: Sequence[int],
        linear: nn.Linear | None = None,
        weights: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(shape, linear, bias)
        self._weights = weights

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """For a layer of float32 on the CPU."""
        return cls(linear.weight.shape, linear)

    @property
    def weights(self) -> Tensor:
        """``[out_features, in_features]``; those in the kernels' order are put back in order."""
        found, matrix = self._weights, self._matrix
        if found is None and matrix is not None:
            return matrix.values()
        if found is None:
            with torch.inference_mode(False), torch.no_grad():
                found = self.weight.detach().bfloat16()
            if self._library is None:
                self._weights = found
        return found

    def settle(self) -> None:
        """Make the weights, so that those they are made from may go."""
        _ = self.weights if self._library is None else self.matrix

    def entries(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Some outputs of each row, ``[N, K], [N, S] -> [N, S]``."""
        if self._library is None:
            made = (F.embedding(ids, self.weights) @ rows.bfloat16()[..., None])[..., 0].float()
        else:
            made = (self.matrix.values(ids).float() @ rows[..., None])[..., 0]
        return made if self._shift is None else made.add_(self._shift[ids])

    def _pack(self) -> kernels.Matrix:
        assert self._library is not None
        weights = self.weights
        self._weights = None
        return kernels.Matrix(self._library, weights, self._shift, "bf16")

    def _by_torch(self, rows: Tensor) -> Tensor:
        made = F.linear(rows.bfloat16(), self.weights).float()
        return made if self._shift is None else made.add_(self._shift)

    def _join(self, parts: Sequence[Any], bias: Tensor | None) -> Self:
        whole = torch.cat([part.weights for part in parts])
        start = 0
        for part in parts:  # the same numbers, in one memory for both
            if part._library is None:
                part._weights = whole[start : start + part.out_features]
            start += part.out_features
        return type(self)(whole.shape, weights=whole, bias=bias)

    def _cut(self, channels: slice, bias: Tensor | None) -> Self:
        some = self.weights[channels]
        return type(self)(some.shape, weights=some, bias=bias)
