"""The betting bound (Waudby-Smith and Ramdas 2024), for any numbers with a floor."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tokenexit.guarantees.bounds.base import BOUNDS, Bound
from tokenexit.guarantees.terms import Kind, Numbers, Terms

BOLDEST = 0.95
"""Share of what one owns that is staked at most."""


@BOUNDS.register("betting")
class Betting(Bound):
    """A gambler who bets on each text that the promise holds gets rich only if it does.

    Wealth is multiplied by ``1 + stake * z`` text by text. Where the promise is broken it is a
    supermartingale from 1, so that it ever reaches ``1 / delta`` with probability ``delta`` at most
    (Ville 1939), however often one looks. Stakes depend on earlier texts alone.

    Of terms with two ends the poorer of the two gamblers counts: stakes are the same for every
    quality of full depth, so that log wealth is concave in it, and least at an end.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("binary", "share", "signed")
    place: ClassVar[int] = 2
    resumable: ClassVar[bool] = True

    def evidence(self, terms: Terms, delta: float, horizon: int | None = None) -> float:
        """The largest wealth ever reached, on a log scale; see ``Bound``."""
        if not len(terms):
            return 0.0
        return max(0.0, float(log_wealth(terms, delta, horizon).max()))


def log_wealth(terms: Terms, delta: float, horizon: int | None = None) -> Numbers:
    """Wealth of the poorer gambler after each text, on a log scale, ``[..., n]`` as the terms."""
    stake = stakes(terms, delta, horizon or terms.low.shape[-1])
    low = np.log1p(stake * terms.low).cumsum(axis=-1)
    if terms.high is terms.low:
        return low
    return np.minimum(low, np.log1p(stake * terms.high).cumsum(axis=-1))


def stakes(terms: Terms, delta: float, horizon: int) -> Numbers:
    """Before each text, the stake that its forerunners suggest, ``[..., n]``.

    ``sqrt(2 ln(1 / delta) / (horizon * v))`` for numbers that vary by ``v``: about the loss seen so
    far where losses lie between 0 and 1, about 0 elsewhere.
    """
    count = np.arange(1, terms.low.shape[-1] + 1)
    floor = np.asarray(terms.floor)
    if terms.kind == "signed":
        first, squares = np.square(floor) / 4, np.square(terms.middle)
    else:
        loss = terms.loss
        mean = (0.5 + loss.cumsum(axis=-1)) / (count + 1)
        first, squares = np.asarray(0.25), np.square(loss - mean)
    before = (first + squares.cumsum(axis=-1) - squares) / count
    wanted = np.sqrt(2 * math.log(1 / delta) / (horizon * before))
    return np.minimum(BOLDEST / -floor, wanted)
