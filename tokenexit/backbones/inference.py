"""What a network computes with when no gradients are wanted: a lean twin that is never stale.

The twin is in evaluation mode whatever the network is in, without dropout, and on a CPU takes
fewer kernels and calls. Whatever has been done to the network is seen at the next ``get``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from tokenexit.backbones.lean import LeanLinear, Nothing, is_linear
from tokenexit.backbones.pieces import check_in_pieces
from tokenexit.backbones.snapshot import Snapshot
from tokenexit.backbones.twin import anybody_listens, twin, unheard


class Network(Protocol):
    """An adapter around a transformers model: a backbone or a decoder."""

    model: Any

    @property
    def eager(self) -> bool:
        """Whether attention is computed eagerly."""
        ...

    def in_pieces(self) -> Sequence[nn.Module]:
        """Modules that are never called themselves, only what is inside."""
        ...

    def lean(self, module: Any) -> nn.Module | None:
        """What inference may compute with in the place of a module of the twin, or None."""
        ...


N = TypeVar("N", bound=Network)


@dataclass(frozen=True, eq=False)
class _Made(Generic[N]):
    """A twin, and what it was made from.

    Attributes:
        network: The twin in its adapter.
        snapshot: The model then.
        how: How attention was computed then, and whether somebody listened to all modules.
        linears: Layers whose weights are laid out anew, if any.
        marks: What tells their weights from others.
    """

    network: N
    snapshot: Snapshot
    how: tuple[bool, bool]
    linears: Sequence[nn.Linear]
    marks: Tensor


class Inference(Generic[N]):
    """Gives the twin of a network, made anew whenever anything about the network has changed.

    Threads may share it: a twin is never changed, and each call of ``get`` gives one that fits.

    Args:
        adapter: Wraps a model.
        pack: Whether weights are laid out anew; where that pays when None.
    """

    def __init__(self, adapter: Callable[[Any], N], pack: bool | None = None) -> None:
        self._adapter = adapter
        self._pack = pack
        self._made: _Made[N] | None = None

    def get(self, model: nn.Module) -> N:
        """The twin of a model, fit for whatever the model is at this moment.

        Weights that were laid out anew are compared with the model's, which takes as long as
        reading them once: ask once a call, not once a batch.

        Raises:
            UserError: Something has been done to the model that could have no effect.
        """
        made = self._made
        if made is None or not _fits(made, self._adapter, model):
            made = self._made = self._make(model)
        return made.network

    def _make(self, model: nn.Module) -> _Made[N]:
        original = self._adapter(model)
        check_in_pieces(model, original.in_pieces())
        lean = _may_be_lean(original)
        pack = lean and (packing_pays() if self._pack is None else self._pack)
        linears = [m for m in model.modules() if _plain(m)] if pack else []
        snapshot, marks = Snapshot(model), _marks(linears)

        def instead(module: nn.Module) -> nn.Module | None:
            if type(module) is nn.Dropout and unheard(module) and not anybody_listens():
                return Nothing()
            return LeanLinear(module, pack) if lean and _plain(module) else None

        def leaner(module: nn.Module) -> nn.Module | None:
            return original.lean(module) if lean and unheard(module) else None

        with torch.no_grad():
            network = self._adapter(twin(model, instead, leaner))
        return _Made(network, snapshot, _how(original), linears, marks)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied or pickled without the twin: whoever needs it makes it anew."""
        return type(self), (self._adapter, self._pack)


def _fits(made: _Made[Any], adapter: Callable[[Any], Any], model: nn.Module) -> bool:
    if not made.snapshot.fits(model) or made.how != _how(made.network):
        return False
    return made.marks.equal(_marks(made.linears))


def _how(network: Network) -> tuple[bool, bool]:
    return network.eager, anybody_listens()


def _may_be_lean(network: Network) -> bool:
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


def _marks(linears: Sequence[nn.Linear]) -> Tensor:
    """What other weights would not give, as bits: the product of each matrix with one vector.

    No count of changes will do: neither fused optimisers nor writing to ``.data`` is counted.
    """
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        products = [linear.weight.mv(_probe(linear.in_features)) for linear in linears]
        return torch.cat([_probe(0), *products]).view(torch.int32)


@cache
def _probe(width: int) -> Tensor:
    draw = torch.Generator("cpu").manual_seed(width)
    return torch.rand(width, generator=draw, dtype=torch.float32, device="cpu") + 0.5


def _plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a module is a float32 linear layer on the CPU and nothing else."""
    if type(module) is not nn.Linear or not is_linear(module):
        return False
    return module.weight.dtype == torch.float32 and module.weight.device.type == "cpu"
