"""Rows that weigh more or less while a network learns, where a reducer will take some out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies import State, index_state
from tokenexit.reducers.base import Fate, Place, Reducer
from tokenexit.reducers.rows import Rows


class RowWeights(ABC):
    """A weight for each row at each layer, in training, through which gradients flow.

    Where all are 0 or 1 the network computes what it does without the rows of weight 0: inside
    the softmax of the attention a row counts by its weight, unless its ``fate`` is ``copy``; and
    unless it is ``drop``, the state after a layer lies between the one that entered (0) and the
    one computed (1).

    Attributes:
        place: ``before`` a layer or ``within`` it, as of a reducer.
        fate: What rows of weight 0 come to, as of a reducer.
        reads: As of a reducer.
        scales: Instead of all that, states between attention and feed-forward block are
            multiplied by their weights, as in the search of PoWER-BERT.
    """

    place: Place
    fate: Fate
    reads: str = "nothing"
    scales: bool = False

    def check(self) -> None:
        """Refuse what weights do not express.

        Raises:
            UserError: Rows would merge.
        """
        if self.fate == "merge":
            raise UserError(
                f"{self!r}: rows that merge into one cannot be weighed in training; train with "
                'fate="drop" or fate="restore".'
            )

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State before the first layer, for ``num_rows`` rows."""
        return None

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Whether weights may change at a layer, as of a reducer."""
        return True

    @abstractmethod
    def weigh(self, rows: Rows, before: Tensor, state: State) -> tuple[Tensor, State]:
        """Weights at one layer.

        Args:
            rows: All that no exit has let out, those of weight 0 among them.
            before: Their weights at the layer before, ``[R]``.
            state: What the last call (or ``init``) returned, indexed to the same rows.

        Returns:
            Weights from 0 to 1, ``[R]``, and the state for the next layer. Unless it ``scales``,
            the first row of a text weighs 1 whatever is said.
        """


class OfReducer(RowWeights):
    """Weights by what a reducer says.

    Args:
        reducer: Who decides.
    """

    def __init__(self, reducer: Reducer) -> None:
        self.reducer = reducer
        self.place, self.fate, self.reads = reducer.place, reducer.fate, reducer.reads

    def __repr__(self) -> str:
        return repr(self.reducer)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """The reducer's state, all rows being there."""
        return self.reducer.init(num_rows, device)

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """As the reducer."""
        return self.reducer.asked(layer, num_layers, longest)


class Kept(OfReducer):
    """Weights of 0 and 1, by what a reducer takes out: they teach it nothing."""

    def weigh(self, rows: Rows, before: Tensor, state: State) -> tuple[Tensor, State]:
        """The reducer is shown the rows that are left, and they alone."""
        left = (before > 0).nonzero().squeeze(-1)
        keep, found = self.reducer.keep(rows.select(left), index_state(state, left))
        weights = torch.zeros_like(before).index_copy(0, left, keep.to(before))
        return weights, _spread(found, left, len(before))


def _spread(state: State, left: Tensor, count: int) -> State:
    """The state of some of so many rows as one of all; nobody asks for that of the others."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.new_zeros(count, *state.shape[1:]).index_copy(0, left, state)
    return tuple(_spread(part, left, count) for part in state)
