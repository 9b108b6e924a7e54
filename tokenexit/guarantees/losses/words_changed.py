"""Words that differ from full depth."""

from __future__ import annotations

import numpy as np

from tokenexit.guarantees.losses.base import LOSSES, Columns, OfSums, OnAverage, column
from tokenexit.guarantees.terms import Numbers, Terms


@LOSSES.register("words changed")
class WordsChanged(OfSums):
    """So many of all words; a long text counts more than a short one. No labels are needed.

    A text may lose all its words, so that the longest one says how much is lost at most.
    """

    needs = ("changed", "rows")
    sums = ("changed", "rows")
    labelled = False

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        words = column(full, "rows")
        z = allowed * words - column(exits, "changed")
        return Terms(z, z, -max(float(words.max(initial=1.0)), 1.0))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"at most {100 * allowed:.4g}% of all words differ from full depth"


@LOSSES.register("words of a text changed")
class WordsOfATextChanged(OnAverage):
    """The share of a text's words, averaged over texts; all texts count alike."""

    needs = ("changed", "rows")
    labelled = False
    kind = "share"

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"at most {100 * allowed:.4g}% of a text's words differ from full depth, averaged over "
            "texts"
        )

    def lost(self, exits: Columns, full: Columns) -> Numbers:
        """See ``OnAverage``."""
        return column(exits, "changed") / np.maximum(column(full, "rows"), 1)
