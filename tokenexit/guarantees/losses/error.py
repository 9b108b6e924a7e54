"""Absolute error of numbers, in the unit of the labels."""

from __future__ import annotations

import math

import numpy as np

from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, column
from tokenexit.guarantees.terms import Numbers, Terms


@LOSSES.register("error loss")
class ErrorLoss(Loss):
    """What exits add to the absolute error, which counts up to ``most`` a text.

    ``most`` is a column, twice the spread of the training values: a loss without a largest value
    cannot be bounded.
    """

    high = math.inf
    needs = ("error", "most")

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        z = allowed - self._losses(exits, full)
        return Terms(z, z, min(allowed - self._most(full), -1e-12))

    def measured(self, exits: Columns, full: Columns) -> float:
        """The difference of the two mean errors."""
        return float(self._losses(exits, full).mean())

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"exits add at most {allowed:.4g} to the absolute error"

    def _most(self, full: Columns) -> float:
        return float(column(full, "most").max(initial=0.0))

    def _losses(self, exits: Columns, full: Columns) -> Numbers:
        most = self._most(full)
        here, deep = (np.minimum(column(columns, "error"), most) for columns in (exits, full))
        return here - deep
