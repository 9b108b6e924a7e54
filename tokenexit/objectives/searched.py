"""Search the form of every exit head, then train what was found (LECO)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("searched")
@dataclass(frozen=True)
class Searched(Objective):
    """Joint training while ``searched`` heads look for their form (LECO, Zhang et al. 2023).

    In the first part of the training the heads' architecture is learned by turns with the weights,
    on other texts of the batch than these (``training.bilevel``); then each exit keeps its
    best form and training goes on. The paper trains the derived network anew from the
    checkpoint; here it goes on from the search.

    Args:
        split: Share of the training that searches.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: A setting is out of range, or the heads are not ``searched`` ones.
    """

    split: float = 0.5
    weights: str | float = "uniform"
    upper_every = 2
    staged = True

    asks: ClassVar[Mapping[str, str]] = {"head": "searched"}

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        if not 0 < self.split < 1:
            raise UserError(f"searched.split must be between 0 and 1, not {self.split!r}.")

    def start(self, info: BatchInfo) -> BatchLoss:
        """All exits; past the split their form is fixed."""
        weights = layer_weights(self.weights, info.exit_layers)
        return _SearchLoss(weights, info.progress >= self.split)


class _SearchLoss(JointLoss):
    def __init__(self, weights: dict[int, float], derived: bool) -> None:
        super().__init__(weights)
        self._derived = derived

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        head = signals.exit_head
        if self._derived and signals.layer < signals.num_layers:
            head.derive()
        return super().arrive(signals, words)
