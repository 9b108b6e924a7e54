"""Rows that weigh less and less as their share of the saliency falls below a bar (AdapLeR)."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.policies import State
from tokenexit.reducers import Rows, RowWeights
from tokenexit.reducers.base import Fate

_CLIP = 10_000.0
"""Most by which the score of a row is lowered."""


class SoftShares(RowWeights):
    """The rule of ``scored`` for shares, with a slope in the place of its step.

    A row's score in the attention is lowered by ``removal`` of its share, which is to weigh
    ``exp`` of that inside the softmax; weights of layers multiply.

    Args:
        fate: What will become of the rows taken out.
        steepness: Of the slope; the larger, the nearer to the hard rule.
        firsts: A number for each layer whose value does not count: its gradient says what would be
            if the first rows took a larger share, ``[L]``.
        salient: What the shares should be like, of all rows of the batch, ``[T]``, any unit.

    Attributes:
        lengths: Sum of the weights of each text at each layer, ``[S]``, whose gradient reaches bars
            and ``firsts`` alone.
        gaps: Divergence of the shares from those that they should be like, ``[S]``.
    """

    place = "before"
    reads = "scores"

    def __init__(self, fate: Fate, steepness: float, firsts: Tensor, salient: Tensor) -> None:
        self.fate = fate
        self._steepness, self._firsts, self._salient = steepness, firsts, salient
        self.lengths: list[Tensor] = []
        self.gaps: dict[int, Tensor] = {}

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """The saliency of each row, and its weight as far as bars have made it."""
        ones = torch.ones(num_rows, device=device, dtype=self._salient.dtype)
        return self._salient, ones

    def weigh(self, rows: Rows, before: Tensor, state: State) -> tuple[Tensor, State]:
        """Weights before, times those by the shares of what they leave."""
        assert isinstance(state, tuple) and rows.bar is not None
        salient, counted = (part.to(before) for part in state)
        score, first = rows.scores().to(before), self._firsts[rows.layer - 1].to(before)
        self.gaps[rows.layer] = self._gap(rows, score, salient, before.detach(), first.detach())
        raised = torch.where(rows.pinned, first / first.detach(), 1.0)
        weights = self._weighed(rows, score, before, raised)
        counted = self._weighed(rows, score.detach(), counted, raised)
        self.lengths.append(_sum(counted, rows))
        return weights, (salient, counted)

    def _weighed(self, rows: Rows, score: Tensor, before: Tensor, raised: Tensor) -> Tensor:
        power = _power(score, before, rows)[0] * before * raised
        share = power / _sum(power, rows)[rows.text]
        assert rows.bar is not None
        bar = rows.bar.to(score) / _sum(before, rows)[rows.text]
        found = before * removal(share, bar, self._steepness).exp()
        return found.masked_fill(rows.pinned, 1.0)

    def _gap(
        self, rows: Rows, score: Tensor, salient: Tensor, before: Tensor, first: Tensor
    ) -> Tensor:
        """Kullback-Leibler divergence of the shares from the saliency of what is left, ``[S]``."""
        wanted = salient * before * torch.where(rows.pinned, first, 1.0)
        wanted = wanted / _sum(wanted, rows).clamp_min(1e-30)[rows.text]
        power, most = _power(score, before, rows)
        log_share = score - most - _sum(power * before, rows).log()[rows.text]
        return _sum(torch.xlogy(wanted, wanted) - wanted * log_share, rows)


def removal(share: Tensor, bar: Tensor, steepness: float) -> Tensor:
    """By how much the scores of rows are changed, ``[R]``, at most nothing.

    Above the bar next to nothing, below it more the farther from it; steep, it is the hard rule.

    Args:
        share: Of each row, ``[R]``.
        bar: What is compared with it, ``[R]``.
        steepness: Of the slope below the bar, ``lambda``.
    """
    below = steepness * (share - bar) / bar - 0.1 / steepness
    above = 0.1 * (share - 1) / (steepness * (1 - bar).clamp_min(1e-6))
    return torch.minimum(below, above).clamp(-_CLIP, 0.0)


def _power(score: Tensor, before: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """``exp`` of scores less the largest of each text, among rows with any weight, and that."""
    there = score.detach().masked_fill(before.detach() <= 0, -torch.inf)
    most = there.new_full((len(rows.lengths),), -torch.inf)
    most = most.scatter_reduce(0, rows.text, there, "amax")[rows.text]
    return (score - most).clamp_max(1.0).exp(), most


def _sum(values: Tensor, rows: Rows) -> Tensor:
    """Sums over the rows of each text, ``[R] -> [S]``."""
    return values.new_zeros(len(rows.lengths)).index_add(0, rows.text, values)
