"""Objectives by which parts of the network learn what a text needs, beside the exits."""

from __future__ import annotations

from tokenexit.objectives.base import BatchInfo, Objective
from tokenexit.objectives.weights import layer_weights


class BesideTop(Objective):
    """Its losses come on top of that of the exits, of the last alone unless ``weights`` are given.

    Subclasses are frozen dataclasses with a field ``weights``.
    """

    weights: str | float | None

    regression = True
    reduces = True

    def of_exits(self, info: BatchInfo) -> dict[int, float]:
        """Weights of the exits' losses; where there is no rule the top alone has one."""
        layers = info.exit_layers
        return {layers[-1]: 1.0} if self.weights is None else layer_weights(self.weights, layers)
