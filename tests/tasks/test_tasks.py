"""A task says all that is asked of it, and a new one is one file."""

from __future__ import annotations

from typing import get_args

import pytest

from tokenexit.errors import UserError
from tokenexit.metrics import METRICS
from tokenexit.models.settings import ExitSettings, task_of
from tokenexit.tasks import TASKS, LabelledTask, Task, labelled_task, task_named, tasks_at, unit_of
from tokenexit.tasks.base import Holder, Kind, Level, Scored, Unit

KNOWN = dict(TASKS.items())


@pytest.mark.parametrize("name", KNOWN)
def test_a_task_says_what_it_is(name):
    task = task_named(name)
    assert task.name == name
    for value, kind in (
        (task.unit, Unit), (task.holder, Holder), (task.level, Level), (task.kind, Kind),
        (task.of, Scored),
    ):  # fmt: skip
        assert value in get_args(kind)
    assert task.title
    assert task.example
    assert task.made.split()[0] in ("a", "an")
    own = {metric for metric, cls in METRICS.items() if cls.of == task.of}
    assert task.metric in {*task.figures, *own}
    task.check_metric(task.metric)
    task.check_metric(None)
    with pytest.raises(UserError, match="never_heard_of"):
        task.check_metric("never_heard_of")


@pytest.mark.parametrize("name", [n for n, cls in KNOWN.items() if issubclass(cls, LabelledTask)])
@pytest.mark.parametrize("context", [False, True])
def test_families_have_a_knob_and_a_meaning(name, context):
    task = labelled_task(name)
    families = task.families(("O", "B-X", "I-X"), context and task.countable)
    assert families
    for family in families:
        assert family.dial() is not None
        assert task.level in family.levels


def test_names():
    assert tasks_at("token") == ["ner", "pos"]
    assert isinstance(task_named("my_own", labelled=False), Task)
    assert task_named("my_own", labelled=False).name == "my_own"
    assert unit_of("my_own", generates=True) == "token"
    assert unit_of("regression", generates=False) == "text"
    with pytest.raises(UserError, match=r"Unknown task 'nre'.*ner"):
        task_named("nre")
    with pytest.raises(UserError, match="no labels, and its task is ner"):
        task_named("ner", labelled=False)
    with pytest.raises(UserError, match="translation"):
        labelled_task("translation")


def test_a_model_of_an_unknown_task_is_not_taken_for_a_tagger():
    settings = ExitSettings(("a", "b"), (1, 2), {"name": "linear"}, task="extractive_qa")
    with pytest.raises(UserError, match="Unknown task 'extractive_qa'"):
        task_of(settings)
    assert task_of(ExitSettings((), (1, 2), {}, task="extractive_qa")).kind == "generator"
