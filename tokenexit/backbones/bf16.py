"""Linear layers of the twin on a CPU with weights in bfloat16, half the memory to read.

Products are summed in float32 and rounded once; the states between them stay float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.backbones.reduced import Reduced, check_no_gradients, spans


class Bf16Linear(Reduced):
    """A linear layer with weights in bfloat16.

    Args:
        matrix: ``[out_features, in_features]``, bfloat16.
        linear: See ``Reduced``.
        bias: See ``Reduced``.
    """

    precision = "bf16"

    def __init__(
        self, matrix: Tensor, linear: nn.Linear | None = None, bias: Tensor | None = None
    ) -> None:
        super().__init__(matrix.shape, linear, bias)
        self.matrix = matrix

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """Round the weights of a layer of float32 on the CPU."""
        with torch.inference_mode(False), torch.no_grad():
            return cls(linear.weight.detach().bfloat16(), linear)

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``, float32, without gradients."""
        check_no_gradients(rows, "bf16")
        made = F.linear(rows.bfloat16(), self.matrix).float()
        return made if self._shift is None else made.add_(self._shift)

    def entries(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Some outputs of each row, ``[N, K], [N, S] -> [N, S]``."""
        made = (F.embedding(ids, self.matrix) @ rows.bfloat16()[..., None])[..., 0].float()
        return made if self._shift is None else made.add_(self._shift[ids])

    def _join(self, parts: Sequence[Any], bias: Tensor | None) -> Self:
        whole = torch.cat([part.matrix for part in parts])
        for part, span in zip(parts, spans(parts), strict=True):
            part.matrix = whole[span]  # the same numbers, in one memory for both
        return type(self)(whole, bias=bias)

    def _cut(self, channels: slice, bias: Tensor | None) -> Self:
        return type(self)(self.matrix[channels], bias=bias)
