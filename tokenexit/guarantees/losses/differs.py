"""Texts that differ anywhere from full depth."""

from __future__ import annotations

import numpy as np

from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, column
from tokenexit.guarantees.terms import Terms


@LOSSES.register("differs")
class Differs(Loss):
    """A text is lost where anything in it is another than at full depth; no labels are needed."""

    needs = ("changed",)
    labelled = False

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        return Terms.lost((column(exits, "changed") > 0).astype(np.float64), allowed, "binary")

    def measured(self, exits: Columns, full: Columns) -> float:
        """Share of texts that differ."""
        return float((column(exits, "changed") > 0).mean())

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"at most {100 * allowed:.10g}% of texts differ anywhere from full depth"
