"""Scorers that learn which rows are not needed, through the network itself (Transkimmer)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss
from tokenexit.objectives.beside_top import BesideTop
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.row_draws import row_draws
from tokenexit.objectives.settings import choice, exit_weights, number
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.policies import State
from tokenexit.reducers import Reducer, Rows, Softened
from tokenexit.reducers.scored import Scored
from tokenexit.reducers.softened import MODES, Mode
from tokenexit.signals import Signals

_SALT = 5000


@OBJECTIVES.register("skim")
@dataclass(frozen=True)
class Skim(BesideTop):
    """Transkimmer (Guan et al. 2022): cross-entropy and ``price`` times the rows that are kept.

    What the model's reducer would take out, by its scorers, weighs nothing in the step; the
    scorers learn through the weights from the loss, in one stage with the network. Of each text
    the share of its rows that are kept counts, the mean over the layers that have a scorer.

    Args:
        price: Of all rows, 0 or more; 0.2 to 0.5 are published.
        mode: ``sampled`` takes rows out by chance, as published; ``straight`` as the reducer will;
            ``soft`` lets them weigh as much as it is sure of them.
        tau: Temperature of the gradient, above 0.
        weights: Of the exits, as ``joint`` has it; the top alone when None.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    price: float = number(0.5, low=0)
    mode: Mode = choice("sampled", MODES)
    tau: float = number(1.0, above=0)
    weights: str | float | None = exit_weights(None)
    scores = True

    def start(self, info: BatchInfo) -> BatchLoss:
        """The network with its rows weighed."""
        return _Skim(self, info, self.of_exits(info))

    def finished(self, learned: object, reducer: Reducer | None) -> Reducer:
        """The reducer that was trained with."""
        return reducer or skimming()


def skimming() -> Reducer:
    """What rows are taken out by where the model has no reducer."""
    return Scored(fate="restore")


class _Counting(Softened):
    """Notes which share of its rows each text has left, ``[S]``, at each layer."""

    def __init__(self, settings: Skim, info: BatchInfo) -> None:
        reducer = info.reducer or skimming()
        super().__init__(
            reducer, settings.mode, settings.tau, lambda rows: row_draws(info, rows, _SALT)
        )
        self.kept: list[Tensor] = []

    def weigh(self, rows: Rows, before: Tensor, state: State) -> tuple[Tensor, State]:
        weights, state = super().weigh(rows, before, state)
        weights = weights.masked_fill(rows.pinned, 1.0)
        sums = weights.new_zeros(len(rows.lengths)).index_add(0, rows.text, weights)
        self.kept.append(sums / rows.lengths)
        return weights, state


class _Skim(JointLoss):
    def __init__(self, settings: Skim, info: BatchInfo, weights: dict[int, float]) -> None:
        super().__init__(weights)
        self._price, self._rows = settings.price, _Counting(settings, info)
        self.part = SubNetwork(weights=self._rows)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        super().arrive(signals, words)
        if signals.layer == signals.num_layers and self._rows.kept:
            kept = torch.stack(self._rows.kept).mean(dim=0)
            self.add(self._price * kept[signals.sequence[signals.known]].sum())
        return None
