"""Keep rows that stand for the others (after Pyramid-BERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies import State
from tokenexit.reducers.base import REDUCERS
from tokenexit.reducers.counts import Ranked
from tokenexit.reducers.rows import Rows, place_in_text


@REDUCERS.register("core_set")
@dataclass(frozen=True)
class CoreSet(Ranked):
    """Of each text a core set is computed on: from the first row, ever the one farthest off.

    After Pyramid-BERT (Huang et al. 2022): the greedy choice of k centres among the states, where
    no row is far from a centre. There is no score to learn. Its full text and code could not be
    read: that rows leave before a layer, how many, and Euclidean distance are ours.

    Args:
        fate: What becomes of the rows.
        place: ``before`` a layer, or ``within`` it; the states that enter it are compared. The
            other settings are those of ``Counted``.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    reads = "states"
    compares = True

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """The centres of each text."""
        text, number = rows.text.unique_consecutive(return_inverse=True)
        place = place_in_text(rows.text)
        shape = len(text), int(place.max()) + 1
        cell = number, place
        real = torch.zeros(shape, dtype=torch.bool, device=text.device)
        real[cell] = True
        states = rows.hidden.new_zeros(*shape, rows.hidden.shape[1])
        states[cell] = rows.hidden
        limits = self.limits(rows.layer, rows.lengths)[text]
        return centres(states, real, limits)[cell], state

    @classmethod
    def examples(cls) -> list[Self]:
        """Shares, and given numbers of rows that go back in the end."""
        return [cls(0.7), cls(1.0, (14, 9, 6, 4), fate="restore", place="within")]


def centres(states: Tensor, real: Tensor, counts: Tensor) -> Tensor:
    """Greedy centres of padded texts, ``[B, M]`` bool; of equals the earlier row.

    Args:
        states: ``[B, M, H]``; the first row of each is its first centre.
        real: Which are no padding, ``[B, M]`` bool, from the left.
        counts: How many of each text, ``[B]``; all where it has fewer.
    """
    counts = torch.minimum(counts, real.sum(dim=1))
    states = states.detach().to(torch.promote_types(states.dtype, torch.float32))
    states = states - states[:, :1]  # small numbers lose less in the product
    square = states.square().sum(dim=-1)
    apart = torch.baddbmm(square[:, None], states, states.transpose(1, 2), alpha=-2)
    apart = apart.add_(square[:, :, None])
    # Neither padding is ever chosen, nor a centre again, which is the nearest to itself.
    apart = apart.masked_fill_(~real[:, None], -torch.inf)
    apart.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    rows, start = apart.flatten(0, 1), torch.arange(len(real), device=real.device) * real.shape[1]
    nearest, chosen = rows.index_select(0, start), [torch.zeros_like(start)]
    for _ in range(1, int(counts.max())):
        chosen.append(nearest.argmax(dim=1))
        nearest = torch.minimum(nearest, rows.index_select(0, start + chosen[-1]))
    order = torch.stack(chosen, dim=1)
    within = torch.arange(len(chosen), device=real.device) < counts[:, None]
    return torch.zeros_like(real, dtype=torch.long).scatter_add(1, order, within.long()) > 0
