"""Linear layers of the twin on a CPU with weights in bfloat16, half the memory to read.

In kernels one to four rows take half the time of float32, 16 and more take the same. Products are
summed in float32, and the states between them stay float32. Torch rounds the rows as well, and each
sum once; kernels do neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit import kernels
from tokenexit.backbones.reduced import Reduced


class Bf16Linear(Reduced[Tensor]):
    """A linear layer with weights in bfloat16; see ``Reduced``."""

    precision = "bf16"

    def entries(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Some outputs of each row, ``[N, K], [N, S] -> [N, S]``."""
        if self._library is None:
            made = (F.embedding(ids, self.weights) @ rows.bfloat16()[..., None])[..., 0].float()
        else:
            made = (self.matrix.values(ids).float() @ rows[..., None])[..., 0]
        return made if self._shift is None else made.add_(self._shift[ids])

    def _by_torch(self, rows: Tensor) -> Tensor:
        made = F.linear(rows.bfloat16(), self.weights).float()
        return made if self._shift is None else made.add_(self._shift)

    def _rounded(self, weight: Tensor) -> Tensor:
        return weight.bfloat16()

    def _packed(self, weights: Tensor) -> kernels.Matrix:
        assert self._library is not None
        return kernels.Matrix(self._library, weights, self._shift, "bf16")

    def _unpacked(self, matrix: kernels.Matrix) -> Tensor:
        return matrix.values()

    def _beside(self, weights: Sequence[Tensor]) -> Tensor:
        return torch.cat([*weights])

    def _some(self, weights: Tensor, channels: slice) -> Tensor:
        return weights[channels]
