"""Brier score: how far probabilities are from the truth."""

from __future__ import annotations

from typing import ClassVar

from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, column
from tokenexit.guarantees.terms import Terms


@LOSSES.register("brier loss")
class BrierLoss(Loss):
    """What exits add to the Brier score, which lies between 0 and 2 a text."""

    high: ClassVar[float] = 2.0
    needs = ("brier",)

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        z = allowed - (column(exits, "brier") - column(full, "brier"))
        return Terms(z, z, allowed - 2.0)

    def measured(self, exits: Columns, full: Columns) -> float:
        """The difference of the two scores."""
        return float((column(exits, "brier") - column(full, "brier")).mean())

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"exits add at most {allowed:.4g} to the Brier score"
