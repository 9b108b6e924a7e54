"""A network in few bits as a page of obvious code: what every faster way is held to.

The transformers model itself, of which each linear layer on the way of all tokens does what its
precision is defined to do: nothing is joined, packed, cached or shared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.backbones.adapter import Adapter
from tokenexit.backbones.precise import served_layers
from tokenexit.kernels.reference import linear_int8, quantize_weight

N = TypeVar("N", bound=Adapter)


class _Dense(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features


class DenseInt8(_Dense):
    """Rows and weights in 8 bits, summed exactly.

    Args:
        linear: In float32.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self.whole, self.step = quantize_weight(linear.weight.detach())

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``."""
        made = linear_int8(rows.reshape(-1, self.in_features), self.whole, self.step, self.bias)
        return made.view(*rows.shape[:-1], self.out_features)


class DenseBf16(_Dense):
    """Weights in bfloat16, rows and sums in float32, as kernels compute.

    Args:
        linear: In float32.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``."""
        return F.linear(rows, self.weight.bfloat16().float(), self.bias)


def dense(network: N, adapter: Callable[[Any], N], kind: type[_Dense] = DenseInt8) -> N:
    """A copy of a network with its large products by their definition.

    Args:
        network: In its adapter, float32 on the CPU.
        adapter: Wraps a model.
        kind: The definition.
    """
    model = copy.deepcopy(network.model).eval().requires_grad_(False)
    made = {linear: kind(linear) for linear in served_layers(adapter(model))}
    for part in list(model.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.Linear) and child in made:
                setattr(part, name, made[child])
    return adapter(model)
