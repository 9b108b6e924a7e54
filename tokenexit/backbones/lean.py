"""Modules that compute what a transformers module does, for inference on a CPU, in fewer steps.

With the few rows that early exits leave, a product spends most of its time rearranging the
weight matrix, and every further kernel or Python call counts. oneDNN takes a matrix that was
rearranged beforehand (about half the time at 4 to 16 rows, a tenth less at 500, for a second
copy of the weights in memory), and adds a residual or cuts off below zero in the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Rows the layout is chosen for; from 2 to 500 rows no other choice was faster.
_ROWS = 16


class Lean(nn.Module):
    """A module of the twin: nobody can listen to it, so calling it is only its ``forward``."""

    def __call__(self, rows: Tensor) -> Tensor:
        """As ``forward``."""
        return self.forward(rows)


class Nothing(Lean):
    """In the place of dropout."""

    def forward(self, rows: Tensor) -> Tensor:
        """The rows as they are."""
        return rows


class PrepackedLinear(Lean):
    """A linear layer that computes with a rearranged copy of the weights of another.

    Args:
        linear: Float32, on the CPU. Its parameters are shared; changing them after the first
            use does not change what this layer computes.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        # Not parameters, and so found without asking the registries of nn.Module.
        self._shift = None if linear.bias is None else linear.bias.detach()
        self._packed: Tensor | None = None
        self._transposed: Tensor | None = None
        self._joined: dict[tuple[nn.Linear, ...], PrepackedLinear] = {}

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``, without gradients."""
        if torch.is_grad_enabled() or rows.dtype != torch.float32:
            return F.linear(rows, self.weight, self.bias)
        if rows.ndim == 2 and rows.shape[0] == 1:
            one = rows.mm(self._column())
            return one if self._shift is None else one.add_(self._shift)
        return self._product(rows, "none")

    def relu(self, rows: Tensor) -> Tensor:
        """As ``forward``, negative numbers replaced by 0."""
        alone = rows.ndim == 2 and rows.shape[0] == 1
        if alone or torch.is_grad_enabled() or rows.dtype != torch.float32:
            return self.forward(rows).relu()
        return self._product(rows, "relu")

    def plus(self, rows: Tensor, residual: Tensor) -> Tensor:
        """As ``forward``, ``residual`` added."""
        if torch.is_grad_enabled() or not rows.dtype == residual.dtype == torch.float32:
            return residual + F.linear(rows, self.weight, self.bias)
        if rows.ndim == 2 and rows.shape[0] == 1:
            one = torch.addmm(residual, rows, self._column())
            return one if self._shift is None else one.add_(self._shift)
        if not rows.numel():
            return residual + F.linear(rows, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise.binary(
            rows, residual, self._weights(), self._shift, "add"
        )

    def beside(self, others: Sequence[Any]) -> PrepackedLinear:
        """One layer that gives this one's output and that of others, side by side."""
        key = tuple(others)
        if key not in self._joined:
            parts = [self, *others]
            width = sum(part.out_features for part in parts)
            with torch.no_grad():
                joined = nn.Linear(self.in_features, width, bias=self.bias is not None)
                joined.weight.copy_(torch.cat([part.weight for part in parts]))
                if self.bias is not None:
                    joined.bias.copy_(torch.cat([part.bias for part in parts]))
            self._joined[key] = PrepackedLinear(joined)
        return self._joined[key]

    def _product(self, rows: Tensor, then: str) -> Tensor:
        if not rows.numel():
            return F.linear(rows, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise.default(
            rows, self._weights(), self._shift, then, [], ""
        )

    def _weights(self) -> Tensor:
        packed = self._packed
        if packed is None:
            packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), _ROWS)
            self._packed = packed
        return packed

    def _column(self) -> Tensor:
        """Weights ``[in, out]`` for a single row, which is a matter of reading them.

        Where they widen the row they are read a third faster row by row.
        """
        turned = self._transposed
        if turned is None:
            turned = self.weight.detach().t()
            if self.out_features > self.in_features:
                turned = turned.contiguous()
            self._transposed = turned
        return turned


class RootMeanSquareNorm(Lean):
    """T5's norm in few kernels.

    Args:
        weight: ``[H]``.
        epsilon: Added to the mean square.
    """

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self._scale = weight.detach()
        self._epsilon = torch.tensor(epsilon, dtype=weight.dtype)
        self._share = 1.0 / weight.numel()

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., H] -> [..., H]``."""
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        factor = torch.addcmul(self._epsilon, length, length, value=self._share).rsqrt_()
        return (rows * factor).mul_(self._scale)


def unheard(module: nn.Module) -> bool:
    """Whether nobody listens to a module with hooks."""
    return not module._forward_hooks and not module._forward_pre_hooks


def side_by_side(rows: Tensor, first: Any, *others: Any) -> Tensor:
    """What several linear layers make of the same rows, ``[..., out + out' + ...]``.

    One product in a lean twin, whose layers must have a bias all or none.
    """
    if type(first) is PrepackedLinear:
        return first.beside(others)(rows)
    return torch.cat([linear(rows) for linear in (first, *others)], dim=-1)


def residual(rows: Tensor, linear: Any, read: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
    """``rows + drop(linear(read))``; one product in a lean twin, where nothing is dropped."""
    if type(linear) is PrepackedLinear:
        return linear.plus(read, rows)
    return rows + drop(linear(read))
