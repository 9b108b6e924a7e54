"""What a network computes with when no gradients are wanted: a lean twin that is never stale.

The twin is in evaluation mode whatever the network is in, without dropout, in the precision that
was asked for, and on a CPU takes fewer kernels and calls. Whatever has been done to the network
is seen at the next ``get``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from torch import nn

from tokenexit.backbones.adapter import Adapter
from tokenexit.backbones.attention_shape import check_attention_shape
from tokenexit.backbones.freeing import gone, let_go
from tokenexit.backbones.making import Twin, how, make, steady
from tokenexit.backbones.pieces import check_in_pieces
from tokenexit.backbones.precise import (
    DTYPES,
    REDUCED,
    cast,
    check_no_autocast,
    check_numbers,
    check_servable,
)
from tokenexit.backbones.snapshot import Snapshot
from tokenexit.backbones.twin import evaluated, twin
from tokenexit.backbones.watch import Watch
from tokenexit.widths import Widths

N = TypeVar("N", bound=Adapter)
M = TypeVar("M", bound=nn.Module | None)


@dataclass(frozen=True, eq=False)
class _Made(Generic[N]):
    """A twin in its adapter, and what it was made from.

    Attributes:
        network: The twin in its adapter.
        twin: The twin.
        snapshot: The model then.
        how: How attention was computed then, and whether somebody listened to all modules.
        device: Where the model was.
        kept: What others have made from the twin, by name.
    """

    network: N
    twin: Twin
    snapshot: Snapshot
    how: tuple[bool, bool]
    device: str
    kept: dict[str, Any] = field(default_factory=dict)

    def fits(self, model: nn.Module, rows: int) -> bool:
        """Whether the model is what it was then."""
        if not self.snapshot.fits(model) or self.how != how(self.network):
            return False
        return self.twin.same(rows)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Something made from a twin, and what is remembered of the module it was also made from."""

    value: Any
    snapshot: Snapshot | None
    watch: Watch | None
    in_place: bool = False

    @classmethod
    def of(cls, value: Any, beside: nn.Module | None, in_place: bool) -> _Kept:
        if beside is None:
            return cls(value, None, None)
        weights = [*beside.parameters(), *beside.buffers()]
        watch = Watch((), weights) if in_place else Watch(weights)
        return cls(value, Snapshot(beside), watch, in_place)

    def fits(self, beside: nn.Module | None) -> bool:
        if self.snapshot is None or beside is None:
            return self.snapshot is beside
        if not self.snapshot.fits(beside):
            return False
        if self.watch is None or self.watch.same():
            return True
        if self.in_place:  # other numbers are welcome, if they are numbers
            check_numbers(beside)
        return False


class Inference(Generic[N]):
    """Gives the twin of a network, made anew whenever anything about the network has changed.

    Threads may share it: a twin is never changed, and each call of ``get`` gives one that fits.

    Args:
        adapter: Wraps a model.
        pack: Whether weights are laid out anew; where that pays when None.
        precision: What the twin computes with; as the network's weights are when None.
        widths: What of an encoder the twin computes; all of it when None.
    """

    def __init__(
        self,
        adapter: Callable[[Any], N],
        pack: bool | None = None,
        precision: str | None = None,
        widths: Widths | None = None,
    ) -> None:
        self._adapter = adapter
        self._pack = pack
        self.precision = precision
        self.widths = widths
        self.freed = False
        """Whether the network's own weights are gone."""
        self._made: _Made[N] | None = None
        self._beside: list[tuple[Snapshot, Any]] = []

    def beside(self, module: M) -> M:
        """A small module beside the network, in evaluation mode and in the type of its states.

        Where there is none, nothing.
        """
        if module is None:
            return module
        weight = next(module.parameters(), None)
        if self.precision in REDUCED and weight is not None and weight.device.type == "cpu":
            return self._steady(module)
        module = evaluated(module)
        if self.precision not in DTYPES or weight is None or weight.device.type == "cpu":
            return module
        made = twin(module, _itself, _itself)
        cast(made, module, self.precision)
        return made

    def _steady(self, module: Any) -> Any:
        for snapshot, made in self._beside:
            if snapshot.fits(module):
                return made
        snapshot, made = Snapshot(module), steady(module)
        self._beside = [*self._beside[-3:], (snapshot, made)]  # heads, and gates of a generator
        return made

    def get(self, model: nn.Module, rows: int = 0) -> N:
        """The twin of a model, fit for whatever the model is at this moment.

        Weights that were laid out anew are compared with the model's, which takes as long as
        reading them once: ask once a call, not once a batch. In a precision that was asked for
        they are looked at in passing; see ``Watch``.

        Args:
            model: The network.
            rows: How many tokens will be computed before the next question, where that is known.

        Raises:
            UserError: Something has been done to the model that could have no effect, or that its
                precision is not served with.
        """
        return self._fitting(model, rows).network

    def keep(
        self,
        network: N,
        name: str,
        make: Callable[[], Any],
        beside: nn.Module | None = None,
        in_place: bool = False,
    ) -> Any:
        """Something made from a twin, such as compiled layers, kept as long as the twin is.

        Args:
            network: From ``get``.
            name: Of what is made.
            make: Makes it; asked again when the twin, or what is beside it, has changed.
            beside: Another module that it is made from, such as the exit heads as they are.
            in_place: Whether it reads that module's numbers where they are, and has no copies.
        """
        made = self._made
        if made is None or made.network is not network:  # another thread has changed something
            return make()
        found = made.kept.get(name)
        if found is None or not found.fits(beside):
            found = made.kept[name] = _Kept.of(make(), beside, in_place)
        return found.value

    def using(self, model: nn.Module, precision: str | None) -> Inference[N]:
        """The same in another precision, whose twin is made at once; its own when None.

        Raises:
            UserError: As ``get``, or the weights it would be made from are gone.
        """
        if self.freed:
            if precision in (None, self.precision):
                return self
            raise gone(f"used in {precision}")
        chosen = precision or self.precision
        new = Inference(self._adapter, self._pack, chosen, self.widths)
        new.get(model)
        return new

    def narrowed(self, widths: Widths | None) -> Inference[N]:
        """The same for other widths, whose twin is made when it is asked for.

        Raises:
            UserError: The weights it would be made from are gone.
        """
        if widths == self.widths:
            return self
        if self.freed:
            raise gone("used with other widths")
        return Inference(self._adapter, self._pack, self.precision, widths)

    def free(self, model: nn.Module) -> None:
        """Let go of the weights of the network that the twin has copies of.

        Raises:
            UserError: It uses them itself.
        """
        made = self._fitting(model, 0)
        if not self.freed:
            let_go(model, made.twin, self.precision)
            left = [weight for weight in model.parameters() if not weight.is_meta]
            self._made = replace(
                made, snapshot=Snapshot(model), twin=replace(made.twin, same=Watch((), left).same)
            )
            self.freed = True

    def _fitting(self, model: nn.Module, rows: int) -> _Made[N]:
        made = self._made
        if made is None or not made.fits(model, rows):
            if self.freed:
                raise gone("changed")
            made = self._made = self._make(model)
        if self.precision is not None:
            check_no_autocast(made.device, self.precision)
        return made

    def _make(self, model: nn.Module) -> _Made[N]:
        original = self._adapter(model)
        pieces = original.in_pieces()
        check_in_pieces(model, pieces)
        check_attention_shape(original, pieces)
        if self.precision is not None:
            check_servable(model, self.precision, original.precisions)
        snapshot = Snapshot(model)
        made = make(original, self._pack, self.precision, self.widths)
        device = next(model.parameters()).device.type
        network: Any = self._adapter(made.model)
        if made.widths is not None:
            network.widths = made.widths
        if self.widths is not None and self.widths.selected is not None:
            network.selected = self.widths.selected
        return _Made(network, made, snapshot, how(original), device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied or pickled without the twin: whoever needs it makes it anew."""
        if self.freed:
            raise gone("copied")
        return type(self), (self._adapter, self._pack, self.precision, self.widths)


def _itself(module: nn.Module) -> None:
    return None
