"""Take rows out at depths that a masked language model gave to each occurrence of a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies import State, ThresholdSpec
from tokenexit.policies.value import number, whole
from tokenexit.reducers.base import REDUCERS, Fate, Place, Reducer
from tokenexit.reducers.rows import Rows


@REDUCERS.register("reconstruction")
@dataclass(frozen=True)
class Reconstruction(Reducer):
    """A row is computed as deep as its token needs to be guessed when it is masked.

    After Faster Depth-Adaptive Transformers (Liu et al. 2021), whose abstract alone could be read:
    its estimate by reconstruction loss. Each token is masked, a network with a head for masked
    tokens at each layer guesses it, and its depth is the least at which the loss plus a price for
    each layer is smallest. Depths belong to occurrences, not to tokens, and are found before the
    network is asked, which costs several passes of the other network: they pay where texts are
    read more than once, or are read beforehand. The first row and special tokens run to the top.

    Args:
        model: Folder that ``tokenexit pretrain`` wrote, with the same tokenizer and depth.
        price: Of a layer, in nats; 0 is strictest.
        every: Tokens that are masked at once are so far apart; one pass each.
        fate: What becomes of the rows.
        place: ``before`` a layer; there is nothing of it to read.

    Raises:
        UserError: A setting is out of range.
    """

    model: str = ""
    price: float = number(0.1, 0.0, 1e6)
    every: int = whole(8, 1, 1_000_000)
    fate: Fate = "copy"
    place: Place = "before"
    own_threshold = ThresholdSpec("price", strict=0.0, loose=5.0)
    reads = "depths"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.model, str):
            raise UserError(f"Reconstruction.model must be a folder, not {self.model!r}.")

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """Those whose depth has not been passed; everybody where no depths are given."""
        if rows.depth is None:
            return torch.ones_like(rows.pinned), state
        return rows.depth >= rows.layer, state

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Not before the first layer, through which every row runs."""
        return layer > 1

    @classmethod
    def examples(cls) -> list[Self]:
        """At some price."""
        return [cls(price=0.5)]


def least_cost(losses: Tensor, layers: Tensor, price: float) -> Tensor:
    """The least layer at which loss plus price is smallest, ``[N]``, long.

    Args:
        losses: Of each row at each exit, ``[N, E]``.
        layers: Of the exits, ``[E]``, rising.
        price: Of a layer.
    """
    return layers[(losses + price * layers).argmin(dim=1)]
