"""Tasks by name."""

from __future__ import annotations

from tokenexit.errors import UserError, unknown_name
from tokenexit.tasks.base import TASKS, Task, Unit
from tokenexit.tasks.generation import Generation
from tokenexit.tasks.labelled import LabelledTask
from tokenexit.tasks.texts import TextTask


def task_named(name: str, labelled: bool | None = None) -> Task:
    """The task of a name.

    Args:
        name: As a model or a run has it. Where nothing is labelled, any other name is a task of
            text generation.
        labelled: Whether its rows get labels or numbers; None where that is not known.

    Raises:
        UserError: There is no such task, or it is none of that kind.
    """
    known = dict(TASKS.items())
    if name in known:
        found = known[name](name)
        if labelled is not None and isinstance(found, LabelledTask) != labelled:
            held = "labels" if labelled else "no labels"
            raise UserError(f"The model has {held}, and its task is {name} ({found.title}).")
        return found
    if labelled is False:
        return known["text2text"](name)
    raise unknown_name("task", name, known)


def labelled_task(name: str) -> LabelledTask:
    """The task of words or texts of a name.

    Raises:
        UserError: There is none.
    """
    found = task_named(name, labelled=True)
    assert isinstance(found, LabelledTask)
    return found


def text_task(name: str) -> TextTask:
    """The task of texts of a name.

    Raises:
        UserError: There is none.
    """
    found = labelled_task(name)
    assert isinstance(found, TextTask)
    return found


def generation_task(name: str) -> Generation:
    """The task of text generation of a name.

    Raises:
        UserError: It is a task with labels.
    """
    found = task_named(name, labelled=False)
    assert isinstance(found, Generation)
    return found


def unit_of(name: str, generates: bool) -> Unit:
    """What leaves at an exit, whether or not there is a task of the name.

    Args:
        name: Of the task.
        generates: Whether texts are generated, where there is none.
    """
    known = dict(TASKS.items())
    if name in known:
        return known[name].unit
    return "token" if generates else "word"


def tasks_of(unit: Unit) -> list[str]:
    """Names of the tasks whose rows are words, texts or tokens."""
    return [name for name, task in TASKS.items() if task.unit == unit]


def tasks_by_policy_unit(*units: str) -> list[str]:
    """Names of the tasks that policies for words, texts, numbers or tokens serve."""
    return [name for name, task in TASKS.items() if task.policy_unit in units]
