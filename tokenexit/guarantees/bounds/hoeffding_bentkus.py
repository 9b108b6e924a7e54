"""The Hoeffding-Bentkus bound (Bates et al. 2021), by which Learn then Test is published."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tokenexit.guarantees.bounds.base import BOUNDS, Bound
from tokenexit.guarantees.bounds.binomial import log_binomial
from tokenexit.guarantees.terms import Kind, Terms


@BOUNDS.register("hoeffding-bentkus")
class HoeffdingBentkus(Bound):
    """The better of two tail bounds on the mean of losses from 0 to 1.

    For comparison with published figures: betting asks for fewer texts, so it is used only where
    it is named. Gains count as no loss, which errs on the safe side.

    Example: no loss in 45 texts of which 5 % may be lost. Hoeffding: ``45 * -ln(0.95) = 2.31``,
    ``ln(1 / 0.1) = 2.30``, and the promise passes.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("binary", "share", "signed")
    place: ClassVar[int] = 3

    def serves(self, terms: Terms) -> bool:
        """Not ratios such as F1, nor losses without an upper end."""
        return super().serves(terms) and terms.high is terms.low and bool(np.min(terms.floor) > -1)

    def evidence(self, terms: Terms, delta: float, horizon: int | None = None) -> float:
        """See ``Bound``; neither ``delta`` nor ``horizon`` changes it."""
        count, allowed = len(terms), terms.allowed
        mean = float(np.clip(terms.loss, 0.0, 1.0).mean())
        hoeffding = count * _divergence(min(mean, allowed), allowed)
        # Rounded up: a sum of losses that is no whole number counts as the next one.
        bentkus = -1.0 - log_binomial(math.ceil(count * mean - 1e-9), count, allowed)
        return max(0.0, hoeffding, bentkus)


def _divergence(mean: float, allowed: float) -> float:
    """Of a coin of ``mean`` from one of ``allowed`` (Kullback and Leibler)."""
    zero = mean * math.log(mean / allowed) if mean > 0 else 0.0
    return zero + (1 - mean) * math.log((1 - mean) / (1 - allowed))
