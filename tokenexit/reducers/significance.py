"""Keep the rows that receive most attention (PoWER-BERT, Length-Adaptive Transformer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.policies import State
from tokenexit.policies.value import number, whole
from tokenexit.reducers.base import REDUCERS, Fate, Place
from tokenexit.reducers.counts import MOST, Counted
from tokenexit.reducers.rows import Rows


@REDUCERS.register("significance")
@dataclass(frozen=True)
class Significance(Counted):
    """Of each text the rows that others attend to most are computed on.

    The significance of a row is the attention it receives in the layer, from all rows and heads.
    The Length-Adaptive Transformer (Kim and Cho 2021) counts what a row gives itself and puts the
    rows back at the end, the defaults here; PoWER-BERT (Goyal et al. 2020) leaves the diagonal
    out and drops the rows: ``own=False, fate="drop", least=1``. Both choose between attention and
    feed-forward block and always keep the first row. In their released code padding attends as
    well, so that what stays depends on the batch; here it does not. Both train the network so
    that it bears the loss, as the objectives ``length_drop`` and ``retention`` do.

    Args:
        ratio: As in ``Counted``; PoWER-BERT's numbers are ``counts``, with a ratio of 1.
        own: Whether the attention of a row to itself counts.
        fate: What becomes of the rows.
        place: ``within`` the layer; the other settings are those of ``Counted``.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    ratio: float = number(0.8, 0.0, 1.0)
    counts: tuple[int, ...] = ()
    own: bool = True
    layers: tuple[int, ...] = ()
    least: int = whole(2, 1, MOST)
    fate: Fate = "restore"
    place: Place = "within"
    shares: tuple[float, ...] = ()
    reads = "attention"

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """The best of each text."""
        limits = self.limits(rows.layer, rows.lengths)
        return rows.best(rows.attention(self.own), limits), state

    @classmethod
    def examples(cls) -> list[Self]:
        """That of Kim and Cho, and one after Goyal et al."""
        return [cls(), cls(1.0, (12, 8, 8, 5), own=False, least=1, fate="drop")]
