"""Words that differ from full depth."""

from __future__ import annotations

import numpy as np

from tokenexit.guarantees.limits import ByLongest, Numbers
from tokenexit.guarantees.losses.base import LOSSES, Columns, OfSums, OnAverage, column
from tokenexit.guarantees.terms import Terms

FEW = 20.0
"""Words of a text that count in any case."""


@LOSSES.register("words changed")
class WordsChanged(OfSums):
    """So many of all words; a long text counts more than a short one. No labels are needed.

    A text may lose all its words: of one longer than all before it so many count as the longest of
    them has, and ``FEW`` at least.
    """

    needs = ("changed", "rows")
    sums = ("changed", "rows")
    labelled = False

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        words = column(full, "rows")
        z = allowed * words - column(exits, "changed")
        return Terms.counted(z, z, ByLongest(words, FEW))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"at most {100 * allowed:.10g}% of all words differ from full depth ({FEW:g} of one "
            "text count at most, or as many as an earlier one has)"
        )


@LOSSES.register("words of a text changed")
class WordsOfATextChanged(OnAverage):
    """The share of a text's words, averaged over texts; all texts count alike."""

    needs = ("changed", "rows")
    labelled = False
    kind = "share"

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"at most {100 * allowed:.10g}% of a text's words differ from full depth, averaged "
            "over texts"
        )

    def lost(self, exits: Columns, full: Columns) -> Numbers:
        """See ``OnAverage``."""
        return column(exits, "changed") / np.maximum(column(full, "rows"), 1)
