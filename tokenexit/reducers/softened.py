"""A reducer's decisions as weights through which its scores learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from tokenexit.errors import unknown_name
from tokenexit.policies import State
from tokenexit.reducers.base import Reducer
from tokenexit.reducers.rows import Rows
from tokenexit.reducers.weights import OfReducer

Mode = Literal["soft", "straight", "sampled"]
MODES: tuple[Mode, ...] = ("soft", "straight", "sampled")
"""``soft``: rows weigh as much as the reducer is sure of them. ``straight``: 1 or 0 as it decides,
with the gradient of that. ``sampled``: 1 or 0 as drawn, likewise: a hard Gumbel softmax."""


class Softened(OfReducer):
    """What a reducer with ``log_odds`` keeps, intersected with what was kept before.

    Args:
        reducer: Who decides.
        mode: One of ``MODES``.
        tau: Temperature of the gradient, and of soft weights.
        uniform: For ``sampled``, numbers between 0 and 1 of rows, ``[R]``; torch's when None.

    Raises:
        UserError: There is no such mode.
    """

    def __init__(
        self,
        reducer: Reducer,
        mode: Mode,
        tau: float = 1.0,
        uniform: Callable[[Rows], Tensor] | None = None,
    ) -> None:
        if mode not in MODES:
            raise unknown_name("way of weighing rows", mode, MODES)
        super().__init__(reducer)
        self._mode, self._tau, self._uniform = mode, tau, uniform

    def weigh(self, rows: Rows, before: Tensor, state: State) -> tuple[Tensor, State]:
        """Weights before, times those of this layer."""
        odds = self.reducer.log_odds(rows)
        if self._mode == "sampled":  # the difference of two Gumbel draws
            drawn = torch.rand_like(odds) if self._uniform is None else self._uniform(rows)
            odds = odds + drawn.to(odds).logit(eps=1e-6)
        weights, keep = (odds / self._tau).sigmoid(), odds >= 0
        if self._mode == "straight":
            keep, state = self.reducer.keep(rows, state)
        if self._mode != "soft":
            weights = keep.to(weights) + (weights - weights.detach())
        return before * weights, state
