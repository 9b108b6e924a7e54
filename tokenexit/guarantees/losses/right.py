"""Right answers: accuracy of texts, of words, and texts that are right as a whole."""

from __future__ import annotations

from typing import ClassVar

from tokenexit.guarantees.limits import BySpare, Numbers
from tokenexit.guarantees.losses.base import (
    LOSSES,
    Columns,
    OfSums,
    OnAverage,
    column,
)
from tokenexit.guarantees.terms import Terms


class _Kept(OfSums):
    """What is right over what is right at full depth."""

    at_least = True
    needs = ("right",)
    sums = ("right", "right")
    noun: ClassVar[str]

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        right = column(full, self.needs[0])
        z = column(exits, self.needs[0]) - allowed * right
        return Terms.counted(z, z, BySpare((1 - allowed) * right))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"at least {100 * allowed:.10g}% of full depth's {self.noun} is kept"


@LOSSES.register("accuracy kept")
class AccuracyKept(_Kept):
    """The share of full depth's accuracy on texts."""

    noun = "accuracy"
    of_whole_texts = True

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``; a text is right or not, so that it loses no more than was allowed."""
        z = column(exits, self.needs[0]) - allowed * column(full, self.needs[0])
        return Terms(z, z, -allowed)


@LOSSES.register("token accuracy kept")
class TokenAccuracyKept(_Kept):
    """The share of full depth's accuracy on words."""

    noun = "word accuracy"

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"{super().words(allowed)} (two to four wrong words of one text count at most)"


@LOSSES.register("exact match kept")
class ExactMatchKept(AccuracyKept):
    """The share of full depth's texts that are right as a whole."""

    needs = ("exact",)
    sums = ("exact", "exact")
    of_whole_texts = False  # of words all have to be right
    noun = "exact matches"


@LOSSES.register("accuracy loss")
class AccuracyLoss(OnAverage):
    """Points of accuracy on texts that exits cost; what they mend counts against it."""

    needs = ("right",)
    of_whole_texts = True

    def lost(self, exits: Columns, full: Columns) -> Numbers:
        """See ``OnAverage``."""
        return column(full, "right") - column(exits, "right")

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"exits cost at most {100 * allowed:.10g} points of accuracy"
