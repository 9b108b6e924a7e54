"""Keep the rows that the first row has read most so far (after the multi-perspective method)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies import State
from tokenexit.reducers.base import REDUCERS, Fate, Place
from tokenexit.reducers.counts import Counted, Ranked
from tokenexit.reducers.rows import Rows


@REDUCERS.register("class_attention")
@dataclass(frozen=True)
class ClassAttention(Ranked):
    """Of each text the rows that its first row has read most are computed on.

    After the unified multi-perspective method (Kong et al. 2022), of which an abstract could be
    read: attention of the class row, recycled from layer to layer, says which rows matter, and
    the others are fused by weight into one. Here the memory of a row is the sum over layers of the
    attention that the first row gave it, mean over heads; rows rank by it, and weigh as much
    when they are merged. The sum, the shares and the weights are ours. Layers that take nobody out
    are remembered as well, up to the last that does.

    Args:
        ratio: As in ``Counted``; the row that stands for the others comes on top.
        fate: What becomes of the rows.
        place: ``within`` the layer; the other settings are those of ``Counted``.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    fate: Fate = "merge"
    place: Place = "within"
    reads = "first"

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """Nobody has been read yet."""
        return torch.zeros(num_rows, device=device)

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """The best of each text by memory."""
        memory = rows.first_attention() + state
        return rows.best(memory, self.limits(rows.layer, rows.lengths)), memory

    def weigh(self, rows: Rows, state: State) -> Tensor:
        """The memory."""
        assert isinstance(state, Tensor)
        return state

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Up to the last layer that takes somebody out: the memory is of all before it."""
        return any(
            Counted.asked(self, past, num_layers, longest) for past in range(layer, num_layers + 1)
        )

    @classmethod
    def examples(cls) -> list[Self]:
        """A share of every layer, and rows merged at two layers, down to given numbers."""
        return [cls(0.7), cls(1.0, (14, 9, 6, 4), layers=(2, 4))]
