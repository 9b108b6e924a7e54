"""Tables of the page on the oracle: who pays, false alarms, and late leavers."""

from __future__ import annotations

from tokenexit.reporting.oracle_text import tally_cells
from tokenexit.reporting.payers import Example, Payers
from tokenexit.reporting.run import RunData
from tokenexit.reporting.table import Table
from tokenexit.wording.naming import capital, fixed, whole


def payers_table(run: RunData, payers: Payers) -> Table:
    """A line for each class, those that lose most first."""
    head = [
        "Kind of token" if run.generates else "Label of full depth", f"{capital(run.unit)}s",
        f"Mean exit {run.step}", "Oracle's", "Reached", "False alarms", "Late",
        f"{capital(run.step)}s lost", "Of all lost",
    ]  # fmt: skip
    return Table(head, [tally_cells(row, whole) for row in payers.classes])


def alarms_table(run: RunData, payers: Payers) -> Table:
    """The most frequent false alarms."""
    own = not run.generates
    head = [*([capital(run.unit)] if own else []), "Full depth says", "Said instead"]
    rows = [[*([r.word] if own else []), r.full, r.said, *_places(r)] for r in payers.alarms]
    return Table([*head, "Times", "Left at", "Oracle's"], rows, text=range(len(head)))


def late_table(run: RunData, payers: Payers) -> Table:
    """Late leavers that lose most layers."""
    own = not run.generates
    head = [capital(run.unit), *(["Full depth says"] if own else [])]
    rows = [[r.word, *([r.full] if own else []), *_places(r), whole(r.lost)] for r in payers.late]
    lost = f"{capital(run.step)}s lost"
    return Table([*head, "Times", "Left at", "Oracle's", lost], rows, text=range(len(head)))


def _places(row: Example) -> list[str]:
    return [whole(row.count), fixed(row.left, 2), fixed(row.oracle, 2)]
