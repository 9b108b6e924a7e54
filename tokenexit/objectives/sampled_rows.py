"""Rows that are kept by chance, as their scores have it: what policies of rows learn from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.policies import State
from tokenexit.reducers import Reducer, Rows
from tokenexit.reducers.base import Fate


class SampledRows(Reducer):
    """Keeps each row with the probability that its scorer says, or those that a guide names.

    Args:
        fate: What becomes of the rows taken out.
        draws: Numbers from 0 to 1 of the rows shown at a layer, ``[R]``.
        guide: How much each row of the batch counts at each place, ``[T, places]``, or at all of
            them, ``[T]``: as many rows as were expected by the scores are kept, those that count
            most. None for chance.

    Attributes:
        kept: Share of its rows that each text has left after each place, ``[S]``.
        likely: Log-probability of what was done there, mean over the rows of a text that are not
            its first, ``[S]``; with a gradient.
    """

    place = "before"
    reads = "scores"

    def __init__(
        self, fate: Fate, draws: Callable[[Rows], Tensor], guide: Tensor | None = None
    ) -> None:
        self.fate = fate
        self._draws, self._guide = draws, guide
        self.kept: list[Tensor] = []
        self.likely: list[Tensor] = []

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """What guides, row by row."""
        return self._guide

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """Draw, or follow the guide."""
        score, free = rows.scores(), (~rows.pinned).to(rows.scores().dtype)
        number = len(self.kept)
        if isinstance(state, Tensor):
            expected = _sum((score.sigmoid() * free).detach(), rows).round().long()
            salient = state if state.ndim == 1 else state[:, number]
            keep = rows.best(salient, expected + 1)  # and the first
        else:
            keep = self._draws(rows) < score.sigmoid()
        keep = keep | rows.pinned
        chosen = torch.where(keep, F.logsigmoid(score), F.logsigmoid(-score)) * free
        self.likely.append(_sum(chosen, rows) / _sum(free, rows).clamp_min(1))
        self.kept.append(_sum(keep.to(score.dtype), rows) / rows.lengths)
        return keep, state


def _sum(values: Tensor, rows: Rows) -> Tensor:
    """Sums over the rows of each text, ``[R] -> [S]``."""
    return values.new_zeros(len(rows.lengths)).index_add(0, rows.text, values)
