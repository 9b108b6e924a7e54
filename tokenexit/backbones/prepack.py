"""A lean twin of a model for inference on a CPU, around the same weights.

With the few rows that early exits leave, a product spends most of its time rearranging the
weight matrix. oneDNN takes a matrix that was rearranged beforehand: about half the time at 4 to
16 rows, a tenth less at 500. It costs a second copy of the weights in memory. What does nothing
in inference (dropout), or takes several kernels where one will do (T5's norm), is replaced too.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook


class Network(Protocol):
    """An adapter around a transformers model: a backbone or a decoder."""

    model: Any

    def __init__(self, model: Any) -> None: ...

    @property
    def eager(self) -> bool:
        """Whether attention is computed eagerly."""
        ...

    def lean(self, module: nn.Module) -> nn.Module | None:
        """What inference may compute with in the place of a module; None for itself."""
        ...


N = TypeVar("N", bound=Network)

# Rows the layout is chosen for; from 2 to 500 rows no other choice was faster.
_ROWS = 16

# Fused optimisers change weights without changing their version, so steps are counted too.
_steps = 0


def _count(*_: object) -> None:
    global _steps
    _steps += 1


register_optimizer_step_post_hook(_count)


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
        linear: Float32, on the CPU. Its parameters are shared; changing them afterwards does
            not change what this layer computes.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in_features] -> [..., out_features]``, without gradients."""
        if rows.dtype != torch.float32 or not rows.numel() or torch.is_grad_enabled():
            return F.linear(rows, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(rows, self._packed, self.bias, "none", [], "")


@dataclass(frozen=True, eq=False)
class Prepacked(Generic[N]):
    """A backbone or decoder with rearranged weights, and what they were made from.

    Attributes:
        backbone: Computes as the original, up to rounding.
        linears: The layers whose weights were rearranged.
        versions: What those were at the time.
    """

    backbone: N
    linears: tuple[nn.Linear, ...]
    versions: tuple[int, ...]

    @property
    def current(self) -> bool:
        """Whether the weights are still those that were rearranged."""
        return self.versions == _versions(self.linears)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Copied or pickled as nothing: whoever needs it makes it anew."""
        return type(None), ()


def prepack(backbone: N) -> Prepacked[N] | None:
    """Rearrange the linear weights of a backbone or decoder; the original is left as it is.

    Returns:
        None where there is nothing to gain (not on a CPU, not in float32, no oneDNN), and for
        eager attention, which promises the transformers model's numbers to the last bit.
    """
    weight = next(backbone.model.parameters())
    if (
        backbone.eager
        or weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or not torch.backends.mkldnn.is_available()
    ):
        return None
    linears = tuple(module for module in backbone.model.modules() if _plain(module))
    replaced: dict[nn.Module, nn.Module] = {linear: PrepackedLinear(linear) for linear in linears}
    for module in backbone.model.modules():
        leaner = backbone.lean(module)
        if leaner is not None and _unheard(module):
            replaced[module] = leaner
        elif type(module) is nn.Dropout and _unheard(module):
            replaced[module] = Nothing()
    twin = _rebuilt(backbone.model, replaced)
    return Prepacked(type(backbone)(twin.eval()), linears, _versions(linears))


def _versions(linears: Iterable[nn.Linear]) -> tuple[int, ...]:
    weights = [linear.weight for linear in linears]
    return (_steps, *(value for w in weights for value in (w.data_ptr(), w._version)))


def _rebuilt(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    """The same tree of modules around the same parameters, some of them replaced."""
    if module not in done:
        twin = done[module] = copy(module)
        twin._modules = {
            name: None if child is None else _rebuilt(child, done)
            for name, child in module._modules.items()
        }
    return done[module]


def _plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a module is a float32 linear layer and nothing else listens to it."""
    return type(module) is nn.Linear and module.weight.dtype == torch.float32 and _unheard(module)


def _unheard(module: nn.Module) -> bool:
    return not module._forward_hooks and not module._forward_pre_hooks
