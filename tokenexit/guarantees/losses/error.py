"""Absolute error of numbers, in the unit of the labels."""

from __future__ import annotations

import math

import numpy as np

from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, column, ratio
from tokenexit.guarantees.terms import Numbers, Terms

COUNTED = " (each error counts up to twice the spread of the training values)"


@LOSSES.register("error loss")
class ErrorLoss(Loss):
    """What exits add to the absolute error, which counts up to ``most`` a text.

    ``most`` is a column, twice the spread of the training values: a loss without a largest value
    cannot be bounded. What was measured is told as it is.
    """

    high = math.inf
    needs = ("error", "most")

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        z = allowed - self._losses(exits, full)
        return Terms(z, z, min(allowed - self._most(full), -1e-12))

    def measured(self, exits: Columns, full: Columns) -> float:
        """The difference of the two mean errors."""
        return float((column(exits, "error") - column(full, "error")).mean())

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"exits add at most {allowed:.10g} to the absolute error{COUNTED}"

    def _most(self, full: Columns) -> float:
        return float(column(full, "most").max(initial=0.0))

    def _losses(self, exits: Columns, full: Columns) -> Numbers:
        here, deep = _errors(exits, full)
        return here - deep


@LOSSES.register("error kept")
class ErrorKept(Loss):
    """Full depth's absolute error over that with exits; each error counts up to ``most``."""

    at_least = True
    needs = ("error", "most")

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        here, deep = _errors(exits, full)
        z = deep - allowed * here
        return Terms(z, z, -max(allowed * float(column(full, "most").max(initial=0.0)), 1e-12))

    def measured(self, exits: Columns, full: Columns) -> float:
        """The ratio of the two mean errors."""
        here, deep = column(exits, "error"), column(full, "error")
        return ratio(float(deep.sum()), float(here.sum()))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"full depth's absolute error is at least {100 * allowed:.10g}% of that with exits"
            f"{COUNTED}"
        )


def _errors(exits: Columns, full: Columns) -> tuple[Numbers, Numbers]:
    most = float(column(full, "most").max(initial=0.0))
    return np.minimum(column(exits, "error"), most), np.minimum(column(full, "error"), most)
