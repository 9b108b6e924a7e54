"""Modules that compute what a transformers module does, for inference on a CPU, in fewer steps.

With the few rows that early exits leave, every kernel and Python call counts, and where MKL is
slow a product spends most of its time rearranging the weight matrix. oneDNN takes a matrix that
was rearranged beforehand: about half the time at 4 to 16 rows there, for a second copy of the
weights in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.backbones.twin import unheard

_LAID_OUT_FOR = 16
"""Rows the layout is chosen for; from 2 to 500 rows no other choice was faster."""

_NARROW = 64
"""Outputs of a classifier at most; more would take longer in float64 than they are worth."""

_STEPS = (3, 4, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of rows that oneDNN is shown, below the first and above the last none."""

_NEXT = [next(step for step in _STEPS if step >= count) for count in range(_STEPS[-1] + 1)]
"""For each number of rows, the number oneDNN is shown."""


class InferenceModule(nn.Module):
    """A module of the twin: nobody can listen to it, so calling it is only its ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False

    def __call__(self, rows: Tensor) -> Tensor:
        """As ``forward``."""
        return self.forward(rows)


class Nothing(InferenceModule):
    """In the place of dropout."""

    def forward(self, rows: Tensor) -> Tensor:
        """The rows as they are."""
        return rows


class Product(InferenceModule):
    """A linear layer of the twin, whatever it multiplies with.

    Args:
        linear: The layer it stands for, whose parameters are shared; None if for no single one.
    """

    weight: Any
    bias: Any
    shares: bool = False
    """Whether it pays to join layers that read the same rows."""

    def __init__(self, linear: nn.Linear | None) -> None:
        super().__init__()
        self._shift: Tensor | None = None
        if linear is None:
            return
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        # Not a parameter, and so found without asking the registries of nn.Module.
        self._shift = None if linear.bias is None else linear.bias.detach()

    @property
    def shift(self) -> Tensor | None:
        """The bias without gradients, ``[out_features]`` or None."""
        return self._shift

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``."""
        raise NotImplementedError

    def relu(self, rows: Tensor) -> Tensor:
        """As ``forward``, negative numbers replaced by 0."""
        return self.forward(rows).relu_()

    def plus(self, rows: Tensor, residual: Tensor) -> Tensor:
        """As ``forward``, ``residual`` added."""
        return self.forward(rows).add_(residual)

    def beside(self, others: Sequence[Any]) -> Product | None:
        """One layer that gives this one's output and that of others, side by side, or None."""
        return None

    def part(self, channels: slice) -> Product:
        """A layer that gives some of the outputs alone."""
        raise NotImplementedError


class InferenceLinear(Product):
    """A linear layer without gradients around the weights of another.

    Args:
        linear: Float32, on the CPU. Its parameters are shared.
        pack: Whether products of a few rows use a copy of the weights that is laid out for
            oneDNN. Changing the weights after the first use does not change that copy.
        steady: Whether a row gives the same numbers in any batch, if the layer is narrow: summed
            in float64, in whatever order, they round to the same, but for one in a million.
    """

    def __init__(self, linear: nn.Linear, pack: bool = True, steady: bool = False) -> None:
        super().__init__(linear)
        self._steady = steady and linear.out_features <= _NARROW
        self._matrix = linear.weight.detach()
        self._pack = pack
        self._packed: Tensor | None = None
        self._joined: dict[tuple[nn.Linear, ...], InferenceLinear] = {}

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``, without gradients."""
        if _by_torch(rows):
            return F.linear(rows, self.weight, self.bias)
        return self._product(rows, "none")

    def relu(self, rows: Tensor) -> Tensor:
        """As ``forward``, negative numbers replaced by 0."""
        if _by_torch(rows):
            return self.forward(rows).relu()
        return self._product(rows, "relu")

    def plus(self, rows: Tensor, residual: Tensor) -> Tensor:
        """As ``forward``, ``residual`` added."""
        if _by_torch(rows) or residual.dtype != torch.float32:
            return residual + F.linear(rows, self.weight, self.bias)
        if rows.ndim == 2 and not (self._steady or self._packs(len(rows))):
            made = torch.addmm(residual, rows, self._matrix.t())
            return made if self._shift is None else made.add_(self._shift)
        return self._product(rows, "none").add_(residual)

    def beside(self, others: Sequence[Any]) -> InferenceLinear | None:
        """One layer that gives this one's output and that of others, side by side.

        None where weights are used as they are, and so where they are.
        """
        if not self._pack:
            return None
        key = tuple(others)
        if key not in self._joined:
            parts = [self, *others]
            width = sum(part.out_features for part in parts)
            with torch.inference_mode(False), torch.no_grad():
                joined = nn.Linear(self.in_features, width, bias=self.bias is not None)
                joined.weight.copy_(torch.cat([part.weight for part in parts]))
                if self.bias is not None:
                    joined.bias.copy_(torch.cat([part.bias for part in parts]))
            self._joined[key] = InferenceLinear(joined)
        return self._joined[key]

    def _product(self, rows: Tensor, then: str) -> Tensor:
        if self._steady:
            shift = None if self._shift is None else self._shift.double()
            made = F.linear(rows.double(), self._matrix.double(), shift).float()
            return made.relu_() if then == "relu" else made
        count = rows.numel() // self.in_features
        if not self._packs(count):
            made = F.linear(rows, self._matrix, self._shift)
            return made.relu_() if then == "relu" else made
        # oneDNN keeps a kernel, of most of a megabyte, for each number of rows that it meets.
        few = F.pad(rows.reshape(count, -1), (0, 0, 0, _NEXT[count] - count))
        made = torch.ops.mkldnn._linear_pointwise.default(
            few, self._weights(), self._shift, then, [], ""
        )
        return made[:count].view(*rows.shape[:-1], self.out_features)

    def _packs(self, count: int) -> bool:
        """Whether so many rows are fewer than reading a matrix takes, and more than one or so."""
        return self._pack and _NEXT[0] < count < len(_NEXT)

    def _weights(self) -> Tensor:
        packed = self._packed
        if packed is None:
            packed = torch.ops.mkldnn._reorder_linear_weight(self._matrix, _LAID_OUT_FOR)
            self._packed = packed
        return packed


def is_linear(*modules: nn.Module) -> bool:
    """Whether modules are linear layers and nothing else: their weights say what they compute."""
    return all(
        type(module) is InferenceLinear
        or (type(module) is nn.Linear and unheard(module) and "forward" not in module.__dict__)
        for module in modules
    )


def _by_torch(rows: Tensor) -> bool:
    """Whether torch has to see the product: to record gradients, or to choose its type."""
    return (
        torch.is_grad_enabled()
        or rows.dtype != torch.float32
        or torch.is_autocast_enabled(rows.device.type)
    )


class RootMeanSquareNorm(InferenceModule):
    """T5's norm in few kernels.

    Args:
        weight: ``[H]``.
        epsilon: Added to the mean square.
    """

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = weight, epsilon
        self._scale = weight.detach()
        self._epsilon = torch.tensor(epsilon, dtype=weight.dtype)
        self._share = 1.0 / weight.numel()

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., H] -> [..., H]``."""
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        factor = torch.addcmul(self._epsilon, length, length, value=self._share).rsqrt_()
        return (rows * factor).mul_(self._scale)


def side_by_side(rows: Tensor, first: Any, *others: Any) -> Tensor:
    """What several linear layers make of the same rows, ``[..., out + out' + ...]``.

    One product where weights are laid out anew; the layers must have a bias all or none.
    """
    joined = first.beside(others) if isinstance(first, Product) else None
    if joined is not None:
        return joined(rows)
    return torch.cat([linear(rows) for linear in (first, *others)], dim=-1)


def project(rows: Tensor, first: Any, *others: Any) -> Sequence[Tensor]:
    """The same, the output of each for itself; one product where rows are made ready for it."""
    joined = _shared(first, others)
    if joined is None:
        return [linear(rows) for linear in (first, *others)]
    return joined(rows).split([linear.out_features for linear in (first, *others)], dim=-1)


def query_beside(rows: Tensor, query: Any, key: Any, value: Any) -> tuple[Tensor, Tensor]:
    """What a query makes of rows, and what key and value do, side by side."""
    joined = _shared(query, (key, value))
    if joined is None:
        return query(rows), side_by_side(rows, key, value)
    made = joined(rows)
    return made[..., : query.out_features], made[..., query.out_features :]


def _shared(first: Any, others: Sequence[Any]) -> Product | None:
    return first.beside(others) if isinstance(first, Product) and first.shares else None


def residual(rows: Tensor, linear: Any, read: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
    """``rows + drop(linear(read))``; one product in a lean twin, where nothing is dropped."""
    somebodys = isinstance(drop, nn.Module) and type(drop) is not Nothing  # put in, or listened to
    if isinstance(linear, Product) and not somebodys:
        return linear.plus(read, rows)
    return rows + drop(linear(read))
