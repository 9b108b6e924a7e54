"""A lean twin of a model for inference on a CPU, around the same weights.

Its linear layers compute with weights rearranged for oneDNN; dropout is gone, and what takes
several kernels or calls where fewer will do is replaced as the adapter says.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from tokenexit.backbones.lean import Nothing, PrepackedLinear, unheard


class Network(Protocol):
    """An adapter around a transformers model: a backbone or a decoder."""

    model: Any

    def __init__(self, model: Any) -> None: ...

    @property
    def eager(self) -> bool:
        """Whether attention is computed eagerly."""
        ...

    def lean(self, module: Any) -> nn.Module | None:
        """What inference may compute with in the place of a module of the twin, or None."""
        ...


N = TypeVar("N", bound=Network)

# Fused optimisers change weights without changing their version, so steps are counted too.
_steps = 0


def _count(*_: object) -> None:
    global _steps
    _steps += 1


register_optimizer_step_post_hook(_count)


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
    twin = _twin(backbone.model, backbone, {})
    return Prepacked(type(backbone)(twin.eval()), linears, _versions(linears))


def _versions(linears: Iterable[nn.Linear]) -> tuple[int, ...]:
    weights = [weight for linear in linears for weight in linear._parameters.values()]
    weights = [weight for weight in weights if weight is not None]
    return (_steps, *(value for w in weights for value in (w.data_ptr(), w._version)))


def _twin(module: Any, backbone: Network, done: dict[nn.Module, nn.Module]) -> Any:
    """The same tree of modules around the same parameters, some of them replaced."""
    if module not in done:
        done[module] = _replaced(module, backbone, done)
    return done[module]


def _replaced(module: Any, backbone: Network, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if _plain(module):
        return PrepackedLinear(module)
    if type(module) is nn.Dropout and unheard(module):
        return Nothing()
    twin = copy(module)
    twin._modules = {
        name: None if child is None else _twin(child, backbone, done)
        for name, child in module._modules.items()
    }
    # Found at once, without asking the registries of nn.Module.
    twin.__dict__.update(twin._modules)
    leaner = backbone.lean(twin) if unheard(module) else None
    return twin if leaner is None else leaner


def _plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a module is a float32 linear layer and nothing else listens to it."""
    return type(module) is nn.Linear and module.weight.dtype == torch.float32 and unheard(module)
