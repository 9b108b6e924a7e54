"""Brier score: how far probabilities are from the truth."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tokenexit.guarantees.limits import Numbers
from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, column
from tokenexit.guarantees.terms import Terms


@LOSSES.register("brier loss")
class BrierLoss(Loss):
    """What exits add to the Brier score, which lies between 0 and 2: of a text, or of its words."""

    high: ClassVar[float] = 2.0
    needs = ("brier", "rows")

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        z = allowed - self._added(exits, full)
        return Terms(z, z, allowed - 2.0)

    def measured(self, exits: Columns, full: Columns) -> float:
        """The difference of the two scores."""
        return float(self._added(exits, full).mean())

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"exits add at most {allowed:.10g} to the Brier score, averaged over texts"

    def _added(self, exits: Columns, full: Columns) -> Numbers:
        """Mean over the rows of each text, ``[n]``."""
        rows = np.maximum(column(full, "rows"), 1)
        return (column(exits, "brier") - column(full, "brier")) / rows
