"""CAT's classifier of exits with what earlier exits said of the class, one for each exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit import scores
from tokenexit.gates.base import GATES
from tokenexit.gates.meta import MetaGate
from tokenexit.signals import Signals


@GATES.register("meta_history")
class MetaHistoryGate(MetaGate):
    """The meta classifier of confident adaptive transformers, as released (Schuster et al. 2021).

    Predicts whether an exit disagrees with the top, from the class it names, its narrow reading of
    the state, that class's probability and its lead over the second, the class's probability at
    earlier exits (the newest first; the first exit's is left out, as there), and the depth. Linear,
    tanh, linear for each exit. Where heads read the state narrowly themselves (``bottleneck``), the
    gate looks at that reading; else it has one of its own.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        exits: Layers with an exit, the top excluded.
        inner: Width of reading and hidden layer, 32 in the released code.
        shared: One classifier for all exits.
    """

    taught = "top"
    reads_past = True

    def __init__(
        self,
        width: int,
        num_classes: int,
        exits: Sequence[int],
        *,
        inner: int = 32,
        shared: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self._layers, self._classes = tuple(exits), num_classes
        self._history = max(len(exits) - 2, 0)
        self._heads: tuple[Mapping[str, Any], ...] = ()  # theirs, so no part of this module
        self.read: nn.Linear | None = nn.Linear(width, inner)
        inputs = num_classes + inner + 2 + self._history + 1
        names = ["all"] if shared else [str(layer) for layer in exits]
        self.expand = nn.ModuleDict({name: nn.Linear(inputs, inner) for name in names})
        self.project = nn.ModuleDict({name: nn.Linear(inner, 2) for name in names})

    def attach(self, heads: Mapping[str, Any]) -> None:
        """Let the gate look at what heads read and said.

        Args:
            heads: By layer.
        """
        self._heads = (heads,)
        narrow = [getattr(head, "expand", None) for head in heads.values() if _reads(head)]
        assert self.read is not None
        if narrow and len(narrow) == len(heads) and self._fits(narrow):
            self.read = None

    def _fits(self, narrow: Sequence[Any]) -> bool:
        assert self.read is not None
        return all(layer.out_features == self.read.out_features for layer in narrow)

    def forward(self, signals: Signals) -> Tensor:
        """Probabilities of disagreement, ``[N]``."""
        chances = scores.log_probabilities(signals.logits.detach()).exp()
        best = chances.topk(min(2, chances.shape[-1]), dim=-1)
        named, sure = best.indices[:, 0], best.values[:, 0]
        seen = [
            F.one_hot(named, self._classes),
            self._reading(signals),
            torch.stack([sure, sure - best.values[:, -1]], dim=-1),
            self._past(signals, named),
            torch.full_like(sure, signals.layer / signals.num_layers)[:, None],
        ]
        place = str(signals.layer) if str(signals.layer) in self.expand else next(iter(self.expand))
        first = self.expand[place]
        said = first(torch.cat([part.to(signals.hidden.dtype) for part in seen], dim=-1)).tanh()
        return self.project[place](said).float().softmax(dim=-1)[:, 1]

    def _reading(self, signals: Signals) -> Tensor:
        if self.read is not None:
            return self.read(signals.hidden)
        head = self._heads[0][str(signals.layer)]
        return _in(head, head.reading, signals.hidden)

    def _past(self, signals: Signals, named: Tensor) -> Tensor:
        """The class's probability at earlier exits, newest first, ``[N, exits - 2]``."""
        past = signals.past
        found = signals.hidden.new_zeros(len(named), self._history)
        if past is None or not self._heads:
            return found
        for slot, exit in enumerate(range(past.shape[1] - 1, 0, -1)):
            head = self._heads[0][str(self._layers[exit])]
            with torch.no_grad():
                said = scores.log_probabilities(_in(head, head, past[:, exit])).exp()
            found[:, slot] = said.gather(1, named[:, None])[:, 0].to(found.dtype)
        return found

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row, earlier exits' at half of their number."""
        first: Any = next(iter(self.expand.values()), None)
        if first is None:
            return 0
        found = first.in_features * first.out_features + 2 * first.out_features
        if self.read is not None:
            found += self.read.in_features * self.read.out_features
        heads = list(self._heads[0].values()) if self._heads else []
        if heads and self.read is None:
            found += heads[0].expand.in_features * heads[0].expand.out_features
        return found + (self._history * heads[0].macs // 2 if heads else 0)


def _reads(head: Any) -> bool:
    return hasattr(head, "reading")


def _in(head: nn.Module, compute: Any, states: Tensor) -> Tensor:
    """States through a head that may be kept in other numbers, without teaching it."""
    weight = next(head.parameters(), None)
    with torch.no_grad():
        return compute(states if weight is None else states.to(weight.dtype))
