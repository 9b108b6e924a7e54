"""Training by the name of a task: from Python and from the console."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import tokenexit
from tokenexit import cli
from tokenexit.config import dump_config, to_yaml
from tokenexit.errors import UserError
from tokenexit.policies.entropy import Entropy
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.recipes import recipe_of, trainable
from tokenexit.workflows.same_run import check_same
from tokenexit.workflows.train import configured, write_demo

SHORT = {
    "train": {"max_steps": 2, "objective": {"name": "joint"}},
    "calibrate": {"grid": 4, "verify": 1, "loose": True},
}


@pytest.mark.slow
def test_from_python(corpus, small_bert, tmp_path):
    run = tmp_path / "run"
    told = {"data": Path(corpus), "model": small_bert, "output_dir": run, **SHORT}
    model = tokenexit.train("ner", policy=Entropy(0.2), heads={"name": "mlp"}, **told)
    assert isinstance(model, tokenexit.ExitModelForTokenClassification)
    assert model.settings.policy["name"] == "entropy"
    assert model.settings.heads["name"] == "mlp"
    assert (run / "report.html").is_file()


@pytest.mark.slow
def test_from_the_console(corpus, small_bert, tmp_path, monkeypatch):
    told = [f"model={json.dumps(small_bert)}", f"data={corpus}", f"output_dir={tmp_path / 'run'}"]
    short = ["train.max_steps=2", "policy.name=never"]
    monkeypatch.setattr(sys, "argv", ["tokenexit", "train", "pos", *told, *short])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["task"] == "pos"


@pytest.mark.parametrize("task", trainable())
def test_help_lists_the_keys(task, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tokenexit", "train", task, "--help"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert "train.epochs" in told
    assert "output_dir" in told


def test_without_a_task_the_tasks_are_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tokenexit", "train", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    assert all(task in capsys.readouterr().out for task in ["ner"])
    with pytest.raises(UserError, match=r"Unknown task 'nerr'.*'ner'"):
        configured("nerr", [])


@pytest.mark.parametrize("task", sorted(set(trainable()) - {"regression"}))
def test_demos_are_in_the_package(task, tmp_path):
    config = configured(task, [])
    assert config.task == task
    assert isinstance(config.model, dict)
    write_demo(tmp_path / "data", task)
    assert {path.stem for path in (tmp_path / "data").iterdir()} == {"train", "validation", "test"}


def test_a_task_of_texts_follows_its_name():
    assert configured("regression", ["data=x"]).task == "regression"
    assert configured("classification", ["data=x"]).task == "classification"
    assert configured("translation", ["data=x"]).model["vocab_size"] == 6000


def test_the_switch_of_older_runs_is_the_task(tmp_path):
    switched = configured("classification", ["data=x", "regression=true"])
    assert switched.task == "regression"
    assert switched.train.objective == {"name": "joint"}
    settings = dump_config(switched)
    del settings["task"]  # as they wrote it
    (tmp_path / "config.yaml").write_text(to_yaml(settings))
    check_same(tmp_path / "config.yaml", configured("regression", ["data=x"]))
    with pytest.raises(UserError, match="task was 'regression'"):
        check_same(tmp_path / "config.yaml", configured("classification", ["data=x"]))
    with pytest.raises(UserError, match="regression=true is short for task=regression"):
        ClassificationConfig("run", task="multilabel", regression=True)


@pytest.mark.parametrize("task", ["translation", "nre"])
def test_a_task_of_other_rows_is_refused(task):
    config = TaggingConfig("run", data="x", task=task)
    with pytest.raises(UserError, match=f"Unknown value of task '{task}'.*ner"):
        recipe_of(config).prepare()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"epochs": 3}, "epochs"),
        ({"train": {"epoch": 3}}, "train.epoch"),
        ({"data": object()}, "data is object"),
        ({"config": {}}, "Give the keys themselves"),
    ],
)
def test_bad_settings_are_told(settings, told):
    with pytest.raises(UserError, match=told):
        tokenexit.train("ner", **settings)


@pytest.mark.parametrize(
    ("task", "arguments", "share"),
    [
        ("ner", [], 0.97),
        ("translation", [], 0.95),
        ("pos", [], None),
        ("classification", [], None),
        ("ner", ["calibrate.grid=4"], 0.97),
        ("ner", ["calibrate.speedup=2"], None),
        ("ner", ["policy.name=margin"], None),
        ("ner", ["calibrate.min_quality=0.9"], 0.9),
        ("translation", ["method=calm"], None),
        ("ner", ["data=here"], None),
    ],
)
def test_a_demonstration_asks_for_what_its_texts_can_promise(task, arguments, share):
    assert configured(task, arguments).calibrate.min_quality == share
