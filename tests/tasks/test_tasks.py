"""A task says all that is asked of it, and a new one is one file."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tokenexit.errors import UserError
from tokenexit.models.settings import ExitSettings, task_of
from tokenexit.policies import Never
from tokenexit.tasks import TASKS, Task, labelled_task, task_named, tasks_by_policy_unit, unit_of
from tokenexit.tasks.pos import PartsOfSpeech
from tokenexit.testing import check_task


@pytest.mark.parametrize("name", [name for name, _ in TASKS.items()])
def test_a_task_keeps_its_promises(name):
    check_task(name)


class Unknown(PartsOfSpeech):
    """Scored by what there is not."""

    metric: ClassVar[str] = "brier"


class Idle(PartsOfSpeech):
    """Searches a policy without a threshold."""

    def families(self, labels, context=False):
        return [Never()]


@pytest.mark.parametrize(
    ("broken", "told"), [(Unknown, "metric is 'brier'"), (Idle, "no threshold")]
)
def test_a_broken_task_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(TASKS, "_members", {**TASKS._members, "broken": broken})
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_task(broken)


def test_names():
    assert tasks_by_policy_unit("word") == ["ner", "pos"]
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
