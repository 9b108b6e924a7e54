"""The check of a task."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

from tokenexit.errors import UserError
from tokenexit.metrics import METRICS
from tokenexit.tasks import TASKS, LabelledTask, Task, task_named
from tokenexit.tasks.base import Holder, Kind, Scored, Unit
from tokenexit.testing.contract import NamedContract, require, require_raises
from tokenexit.units import PolicyUnit

TASK = NamedContract(TASKS, task_named)
LABELS = ("O", "B-X", "I-X")


def check_task(task: str | type[Task]) -> None:
    """Check that a task keeps its promises."""
    TASK.check(task)


@TASK.promise
def says_what_it_is(task: Task) -> None:
    """It says what leaves at an exit, what its models are, and how they are shown."""
    for field, kind in (
        ("unit", Unit), ("holder", Holder), ("policy_unit", PolicyUnit), ("kind", Kind),
        ("of", Scored),
    ):  # fmt: skip
        value: Any = getattr(task, field, None)
        allowed = get_args(kind)
        require(value in allowed, f"{field} is {value!r}, not one of {', '.join(allowed)}.")
    for field in ("title", "example", "made", "loader", "pipeline", "reads"):
        require(getattr(task, field, None), f"{field} is missing; see Task.")
    require(task.made.split()[0] in ("a", "an"), f"made is {task.made!r}, not 'a ...'.")
    require(type(task).__doc__, "give the class a docstring.")


@TASK.promise
def knows_its_metrics(task: Task) -> None:
    """Its usual metric is one of its figures or of the metrics there are; others are refused."""
    own = {metric for metric, cls in METRICS.items() if cls.of == task.of}
    known = {*task.figures, *own}
    require(task.metric in known, f"metric is {task.metric!r}, not one of {sorted(known)}.")
    for metric in (task.metric, None):
        task.check_metric(metric)
    require_raises(
        UserError,
        partial(task.check_metric, "never_heard_of"),
        "check_metric() lets a metric pass that there is not.",
    )


@TASK.promise
def answers_have_columns(task: Task) -> None:
    """It names the columns of its answers."""
    for pairs in (False, True):
        fields = task.answer_fields(LABELS, pairs)
        require(fields and all(isinstance(name, str) for name in fields), "answer_fields is empty.")


@TASK.promise
def families_have_a_meaning(task: Task) -> None:
    """Policies that are searched by default have a threshold and serve what the task lets leave."""
    if not isinstance(task, LabelledTask):
        return
    for context in (False, task.countable):
        families = task.families(LABELS, context)
        require(families, "families() is empty: name one policy or more.")
        for family in families:
            require(family.threshold_spec() is not None, f"{family!r} has no threshold to search.")
            unit = task.policy_unit
            require(unit in family.units, f"{family!r} does not serve {unit}s.")
