"""Layers that exits save."""

from __future__ import annotations

import math

from tokenexit.guarantees.limits import ByLongest
from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, column, ratio
from tokenexit.guarantees.terms import Terms

FEW = 20
"""Rows of a text that count in any case."""


@LOSSES.register("layers saved")
class LayersSaved(Loss):
    """Depth over the mean exit layer of all words, tokens or texts; a floor for the speed."""

    at_least = True
    low = 1.0
    high = math.inf
    needs = ("layers", "deep", "rows")
    labelled = False
    strict_first = False

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``: passes through the whole network that were allowed, less those made.

        A text that saves nothing costs ``rows * (1 - 1 / allowed)``, more than any other of its
        length: the longest text so far says what the next one may cost.
        """
        deep, rows = column(exits, "deep"), column(exits, "rows")
        depth = max(1.0, ratio(float(deep.sum()), float(rows.sum())) if rows.any() else 1.0)
        z = (deep / allowed - column(exits, "layers")) / depth
        cost = 1 - 1 / allowed
        return Terms.counted(z, z, ByLongest(cost * rows, cost * FEW))

    def measured(self, exits: Columns, full: Columns) -> float:
        """Layers of so many rows without exits over those that were computed."""
        return ratio(float(column(exits, "deep").sum()), float(column(exits, "layers").sum()))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"layers are saved by a factor of at least {allowed:.10g} (of a text longer than {FEW} "
            "rows as many count at most as an earlier one has)"
        )
