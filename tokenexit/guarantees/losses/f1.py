"""F1 of entities or labels, micro-averaged, of which full depth's own value need not be known."""

from __future__ import annotations

from tokenexit.guarantees.limits import SPANS, BySpare, Numbers
from tokenexit.guarantees.losses.base import (
    LOSSES,
    Columns,
    Loss,
    column,
    ratio,
)
from tokenexit.guarantees.terms import Terms

AT_MOST = " (one to four wrong entities of one text count at most)"


def _parts(columns: Columns) -> tuple[Numbers, Numbers]:
    """Twice what is right, and found and gold ones together, ``[n]``: F1 is their ratio."""
    return column(columns, "f1_over"), column(columns, "f1_under")


def _f1(columns: Columns) -> float:
    right, both = _parts(columns)
    return ratio(float(right.sum()), float(both.sum()))


@LOSSES.register("f1 kept")
class F1Kept(Loss):
    """The share of full depth's F1.

    With exits ``a' / b'``, at full depth ``a / b = F``: of ``E[a'] >= q F E[b']``, taking
    ``q (E[a] - F E[b]) = 0`` away leaves ``a' - q a + q F (b - b')``, which is free of ``F``
    wherever exits change nothing.
    """

    at_least = True
    needs = ("f1_over", "f1_under")

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        (right, both), (right_full, both_full) = _parts(exits), _parts(full)
        low = right - allowed * right_full
        high = low + allowed * (both_full - both)
        return Terms.counted(low, high, BySpare((1 - allowed) * right_full))

    def measured(self, exits: Columns, full: Columns) -> float:
        """F1 over that of full depth."""
        return ratio(_f1(exits), _f1(full))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"at least {100 * allowed:.10g}% of full depth's F1 is kept{AT_MOST}"


@LOSSES.register("f1 loss")
class F1Loss(Loss):
    """Points of F1 that exits cost."""

    needs = ("f1_over", "f1_under")

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``: ``a' - a + F (b - b') + allowed b'``."""
        (right, both), (right_full, both_full) = _parts(exits), _parts(full)
        low = right - right_full + allowed * both
        return Terms.counted(low, low + both_full - both, SPANS)

    def measured(self, exits: Columns, full: Columns) -> float:
        """The difference of the two F1."""
        return _f1(full) - _f1(exits)

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return f"exits cost at most {100 * allowed:.10g} points of F1{AT_MOST}"
