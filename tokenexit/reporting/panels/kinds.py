"""Precision, recall and F1 of each label or type of entity, and how deep its rows go."""

from __future__ import annotations

from markupsafe import Markup

from tokenexit.reporting.classes import ClassDepth, class_depths
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.render import render
from tokenexit.reporting.run import RunData
from tokenexit.reporting.table import Table
from tokenexit.tasks import TASKS
from tokenexit.wording.naming import NOTHING, capital, fixed, whole


@PANELS.register("kinds")
class Kinds(Panel):
    """A line for each label or type of entity."""

    section = "classes"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        rows, gold = class_depths(run)
        if not rows:
            return []
        rows_by = (f"{capital(run.unit)}s", "Label" if gold else "Predicted label")
        counted, said = (_counted(run) if gold else None) or rows_by
        head = [said, counted]
        head += ["Precision", "Recall", "F1"] if gold else []
        head += ["Mean exit layer", f"Left at layer 1 to {run.num_layers}"]
        table = Table(head, [_cells(row, gold) for row in rows])
        note = "" if gold else f"No gold labels were saved: {run.unit}s are grouped by prediction."
        return [Picture(f"By {said.lower()}", render("table.html.j2", table=table), note=note)]


def _counted(run: RunData) -> tuple[str, str] | None:
    """What the task counts by kind, other than rows by label."""
    task = dict(TASKS.items()).get(run.task)
    return None if task is None else task.sorts


def _cells(row: ClassDepth, gold: bool) -> list[str]:
    scores = [_figure(one) for one in (row.precision, row.recall, row.f1)] if gold else []
    strip: Markup | str = render("strip.html.j2", shares=row.shares) if row.shares else NOTHING
    count = row.count if row.true is None else row.true
    return [row.label, whole(count), *scores, fixed(row.depth, 2), strip]


def _figure(value: float | None) -> str:
    return fixed(value, 3)
