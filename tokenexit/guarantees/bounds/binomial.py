"""The exact binomial bound (Clopper and Pearson 1934), for texts that are lost or not."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tokenexit.extras import require_libraries
from tokenexit.guarantees.bounds.base import BOUNDS, Bound
from tokenexit.guarantees.terms import Kind, Terms


@BOUNDS.register("exact binomial")
class Binomial(Bound):
    """How likely so few lost texts are if the share of lost ones is what is allowed."""

    kinds: ClassVar[tuple[Kind, ...]] = ("binary",)
    place: ClassVar[int] = 1

    def evidence(self, terms: Terms, delta: float, horizon: int | None = None) -> float:
        """See ``Bound``; neither ``delta`` nor ``horizon`` changes it."""
        lost = int(np.count_nonzero(terms.loss > 0.5))
        return -log_binomial(lost, len(terms), terms.allowed)


def log_binomial(lost: int, texts: int, share: float) -> float:
    """Log probability that at most ``lost`` of so many are, each with probability ``share``."""
    chance = float(_special().bdtr(lost, texts, share))
    return -math.inf if chance == 0 else math.log(chance)


def binomial_bound(lost: int, texts: int, delta: float) -> float:
    """Share of lost texts that is not exceeded, but with probability ``delta``."""
    if lost >= texts:
        return 1.0
    return float(_special().betaincinv(lost + 1, texts - lost, 1 - delta))


def _special() -> Any:
    require_libraries("scipy")
    from scipy import special

    return special
