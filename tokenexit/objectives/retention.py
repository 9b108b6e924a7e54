"""How many rows each layer needs, found by weights on their ranks (PoWER-BERT)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.policies import State
from tokenexit.reducers import Reducer, Rows, RowWeights
from tokenexit.reducers.significance import Significance
from tokenexit.signals import Signals


@OBJECTIVES.register("retention")
@dataclass(frozen=True)
class Retention(Objective):
    """The search of PoWER-BERT (Goyal et al. 2020): which ranks of rows does a layer need?

    In each layer rows are ranked by the attention they receive, and between attention and
    feed-forward block their states are multiplied by the weight of their rank, from 0 to 1, 1 at
    first. The loss is the top's cross-entropy and ``price * l * sum |w_l|`` for each layer ``l``.
    Afterwards the sum of a layer's weights, rounded down, at least 1 and no more than below, is
    how many rows it keeps: the model's reducer ``significance`` gets these numbers as ``counts``.
    Weights learn at the rate of heads. Begin with a network that was fine-tuned, and train it once
    more with the rows that remain. As released, no row is pinned during the search.

    Args:
        price: Of a row kept, published from 1e-4 to 7e-3.
        longest: Ranks with a weight of their own, the published length of padded texts; rows
            beyond share the last. Ranks that no text has fall as fast as those that none needs.

    Raises:
        UserError: A setting is out of range.
    """

    price: float = 3e-4
    longest: int = 128
    regression = True
    reduces = True

    def __post_init__(self) -> None:
        if not (isinstance(self.price, int | float) and 0 < self.price < float("inf")):
            raise UserError(f"retention.price must be a number above 0, not {self.price!r}.")
        if type(self.longest) is not int or not 1 <= self.longest <= 100_000:
            raise UserError(
                f"retention.longest must be a whole number from 1 to 100000, not {self.longest!r}."
            )

    def learned(self, exit_layers: tuple[int, ...]) -> nn.Module | None:
        """Weights of all ranks at all layers."""
        return RankWeights(exit_layers[-1], self.longest)

    def start(self, info: BatchInfo) -> BatchLoss:
        """The network with its rows weighed."""
        assert isinstance(info.learned, RankWeights)
        return _Retention(info.learned, info, self.price)

    def stepped(self, learned: nn.Module | None) -> None:
        """Weights stay between 0 and 1."""
        assert isinstance(learned, RankWeights)
        with torch.no_grad():
            learned.weight.clamp_(0.0, 1.0)

    def finished(self, learned: nn.Module | None, reducer: Reducer | None) -> Reducer:
        """The model's reducer with the numbers that were found."""
        assert isinstance(learned, RankWeights)
        counts = counts_of(learned.weight.detach())
        return replace(ranking(reducer), ratio=1.0, shares=(), layers=(), counts=counts)


class RankWeights(nn.Module):
    """A weight for each rank at each layer.

    Args:
        num_layers: Depth of the network.
        longest: Ranks.
    """

    def __init__(self, num_layers: int, longest: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_layers, longest))

    def forward(self, layer: int, rank: Tensor) -> Tensor:
        """Weights of rows at a layer, from 1, by their ranks, from 0: ``[R] -> [R]``."""
        return self.weight[layer - 1][rank.clamp_max(self.weight.shape[1] - 1)]

    def price(self) -> Tensor:
        """Sum of all weights, each times its layer."""
        layers = torch.arange(1, len(self.weight) + 1, device=self.weight.device)
        return (layers[:, None] * self.weight.abs()).sum()


def counts_of(weights: Tensor) -> tuple[int, ...]:
    """How many rows layers keep whose ranks have these weights, ``[L, N]``."""
    masses = weights.double().sum(dim=1) + 1e-6  # a hair, or ten tenths might be none
    return tuple(accumulate((max(1, int(mass)) for mass in masses), min))


def ranking(reducer: Reducer | None) -> Significance:
    """The reducer whose numbers are searched.

    Raises:
        UserError: The model has another.
    """
    if reducer is None:
        return Significance(1.0, own=False, least=1)
    if not isinstance(reducer, Significance):
        raise UserError(
            "retention searches the counts of the reducer significance, and the model has "
            f'{reducer!r}: set reducer={{"name": "significance", "ratio": 1, "own": false}}.'
        )
    return reducer


class _Ranked(RowWeights):
    """Rows by the weights of their ranks."""

    place = "within"
    reads = "attention"
    scales = True

    def __init__(self, learned: RankWeights, reducer: Significance) -> None:
        self._learned, self._reducer, self.fate = learned, reducer, reducer.fate

    def __repr__(self) -> str:
        return repr(self._reducer)

    def weigh(self, rows: Rows, before: Tensor, state: State) -> tuple[Tensor, State]:
        rank = rows.rank(rows.attention(self._reducer.own))
        return self._learned(rows.layer, rank), state


class _Retention(JointLoss):
    def __init__(self, learned: RankWeights, info: BatchInfo, price: float) -> None:
        super().__init__({info.exit_layers[-1]: 1.0})
        self._learned, self._price = learned, price
        self.part = SubNetwork(weights=_Ranked(learned, ranking(info.reducer)))

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        super().arrive(signals, words)
        if signals.layer == signals.num_layers:
            self.add(self._price * self._learned.price() * len(signals.known))
        return None
