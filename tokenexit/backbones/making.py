"""How the twin of a network is made: which modules take the place of which."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import torch
from torch import nn

from tokenexit.backbones.adapter import Adapter
from tokenexit.backbones.inference_modules import InferenceLinear, Nothing, is_linear
from tokenexit.backbones.precise import REDUCED, cast, check_numbers, served_layers
from tokenexit.backbones.reduced import Reduced
from tokenexit.backbones.sliced import around, explicit, parts_of
from tokenexit.backbones.twin import anybody_listens, twin, unheard
from tokenexit.backbones.watch import Watch, products
from tokenexit.widths import Widths

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Twin:
    """A twin, and what it has copies of.

    Attributes:
        model: The twin.
        same: Whether weights that it has copies of are as they were; is told how many rows will
            be computed.
        copied: Linear layers of the network with the layers that took their places.
        widths: What it has of the network, with an entry a layer; None for all.
    """

    model: Any
    same: Callable[[int], bool]
    copied: Sequence[tuple[nn.Linear, Reduced]]
    widths: Widths | None = None


def make(
    network: Adapter, pack: bool | None, precision: str | None, widths: Widths | None = None
) -> Twin:
    """The twin of a network as it is at this moment.

    Args:
        network: The network.
        pack: Whether float32 weights are laid out anew; where that pays when None.
        precision: What the twin computes with; as the network's weights are when None.
        widths: What of an encoder it computes; all of it when None.

    Raises:
        UserError: Of weights that are no numbers, or widths that do not fit.
    """
    if widths is not None and widths.selected is None:
        return _narrow(network, pack, precision, widths)
    if precision is not None:
        check_numbers(network.model)
    on_cpu = next(network.model.parameters()).device.type == "cpu"
    if precision in REDUCED and on_cpu:
        return _reduced(network, precision)
    if precision in (None, "fp32"):
        return _as_loaded(network, pack, precision)
    made = _replaced(network, {}, lean=False)
    cast(made, network.model, precision)
    return Twin(made, Watch([*network.model.parameters()]).same, ())


def _narrow(network: Any, pack: bool | None, precision: str | None, widths: Widths) -> Twin:
    """The twin of a sliced network, which has copies of the whole one's weights."""
    if precision is not None:
        check_numbers(network.model)
    entries = explicit(network, widths)
    parts = parts_of(network, entries)
    made = make(around(network, entries, parts), pack, precision)
    wholes: Any = {part: whole for whole, part in parts.items()}
    # Weights of other types are not watched: a twin of those is made at each call.
    plain = all(weight.dtype == torch.float32 for weight in network.model.parameters())
    same = _watch(network, [*wholes.values()]).same if plain else _never
    copied = [(wholes.get(linear, linear), product) for linear, product in made.copied]
    return Twin(made.model, same, copied, entries)


def _never(rows: int) -> bool:
    return False


def _as_loaded(network: Adapter, pack: bool | None, precision: str | None) -> Twin:
    lean = _may_be_lean(network)
    pack = lean and (packing_pays() if pack is None else pack)
    linears = [m for m in network.model.modules() if lean and _plain(m)]
    made = _replaced(network, {linear: InferenceLinear(linear, pack) for linear in linears}, lean)
    if precision is not None:  # compiled layers have copies too
        return Twin(made, _watch(network, linears).same, ())
    matrices = [linear.weight for linear in (linears if pack else [])]
    before = products(matrices)
    return Twin(made, lambda rows: before.equal(products(matrices)), ())


def _reduced(network: Adapter, precision: str) -> Twin:
    kind = REDUCED[precision]
    pairs = [(layer, kind.of(layer)) for layer in served_layers(network)]
    others = [m for m in network.model.modules() if _plain(m)]
    instead: dict[nn.Module, Any] = {
        linear: InferenceLinear(linear, pack=False, steady=True) for linear in others
    }
    instead.update(pairs)
    made = _replaced(network, instead, lean=not anybody_listens())
    return Twin(made, _watch(network, [linear for linear, _ in pairs]).same, pairs)


def steady(module: M) -> M:
    """A twin of a small module beside a network in fewer bits: no row depends on another."""

    def instead(part: nn.Module) -> nn.Module | None:
        return InferenceLinear(part, pack=False, steady=True) if _plain(part) else None

    return twin(module, instead, lambda part: None)


def _replaced(network: Adapter, linears: dict[nn.Module, Any], lean: bool) -> Any:
    def instead(module: nn.Module) -> nn.Module | None:
        if type(module) is nn.Dropout and unheard(module) and not anybody_listens():
            return Nothing()
        return linears.get(module)

    def leaner(module: nn.Module) -> nn.Module | None:
        return network.lean(module) if lean and unheard(module) else None

    with torch.no_grad():
        return twin(network.model, instead, leaner)


def _watch(network: Adapter, linears: Sequence[nn.Linear]) -> Watch:
    """Over weights that there are copies of, and all others, of which no number may be none."""
    found = [weight for linear in linears for weight in (linear.weight, linear.bias)]
    copied = [weight for weight in found if weight is not None]
    return Watch(copied, [*network.model.parameters()])


def how(network: Adapter) -> tuple[bool, bool]:
    """How attention is computed, and whether somebody listens to all modules."""
    return network.eager, anybody_listens()


def _may_be_lean(network: Adapter) -> bool:
    """Not for eager attention, which promises the transformers model's numbers to the last bit."""
    weight = next(network.model.parameters())
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    return on_cpu and not network.eager and not anybody_listens()


@cache
def packing_pays() -> bool:
    """Whether products are faster with weights laid out for oneDNN than as they are.

    With few rows they are, about twice, on processors for which MKL, Intel's library, was not
    written. On Intel's they are not.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    known = Path("/proc/cpuinfo")
    maker = known.read_text("utf-8") if known.exists() else platform.processor()
    return not (torch.backends.mkl.is_available() and "GenuineIntel" in maker)


def _plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a module is a float32 linear layer on the CPU and nothing else."""
    if type(module) is not nn.Linear or not is_linear(module):
        return False
    return module.weight.dtype == torch.float32 and module.weight.device.type == "cpu"
