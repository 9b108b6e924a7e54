"""Tasks: what a row is, how it is read, scored and reported.  Every module registers its own."""

from __future__ import annotations

from tokenexit.tasks.base import HOLDERS, TASKS, Task, Unit
from tokenexit.tasks.labelled import LabelledTask, Rows
from tokenexit.tasks.naming import (
    generation_task,
    labelled_task,
    task_named,
    tasks_by_policy_unit,
    tasks_of,
    unit_of,
)

__all__ = [
    "HOLDERS",
    "TASKS",
    "LabelledTask",
    "Rows",
    "Task",
    "Unit",
    "generation_task",
    "labelled_task",
    "task_named",
    "tasks_by_policy_unit",
    "tasks_of",
    "unit_of",
]
