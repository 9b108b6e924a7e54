"""The run folder: who may write into it, and what a resumed run must share with the first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.config import dump_config, from_yaml
from tokenexit.errors import UserError
from tokenexit.training import TrainConfig
from tokenexit.workflows import folder
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.folder import check_run, open_run, write_json


@pytest.fixture
def config(tmp_path) -> TaggingConfig:
    return TaggingConfig(
        output_dir=str(tmp_path / "run"), data="here", model={"model_type": "bert"}
    )


@pytest.fixture
def begun(config) -> TaggingConfig:
    """A run that has started to train."""
    run = open_run(config)
    (run / "train_log.jsonl").write_text("{}\n", encoding="utf-8")
    (run / "checkpoints").mkdir()
    (run / "own.txt").write_text("of the user", encoding="utf-8")
    return config


def test_a_new_folder_gets_the_settings(config):
    check_run(config)
    assert not Path(config.output_dir).exists()  # checking writes nothing
    run = open_run(config)
    assert run == Path(config.output_dir)
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "") == dump_config(config)


def test_the_other_processes_may_check_late(config):
    """All check before any writes; that the first has written by then must not matter either."""
    check_run(config)
    open_run(config)
    check_run(config)


def test_a_run_is_not_overwritten_unasked(begun):
    for _ in range(2):
        with pytest.raises(UserError, match=r"already holds a run.*overwrite=true.*resume=true"):
            check_run(begun)


def test_a_run_of_an_older_version_resumes(begun):
    """Keys that there were not then had what is now their default."""
    path = Path(begun.output_dir) / "config.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    older = [line for line in lines if not line.strip().startswith(("method:", "accumulation:"))]
    assert len(older) == len(lines) - 2
    path.write_text("\n".join(older), encoding="utf-8")
    check_run(replace(begun, resume=True))
    with pytest.raises(UserError, match="method was None and is 'pabee'"):
        check_run(replace(begun, resume=True, method="pabee"))


def test_overwriting_clears_what_a_run_wrote_and_nothing_else(begun):
    again = replace(begun, overwrite=True, seed=5)
    check_run(again)
    run = open_run(again)
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "own.txt"]
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")["seed"] == 5


def test_resuming_changes_nothing(begun):
    run = Path(begun.output_dir)
    before = (run / "config.yaml").read_text(encoding="utf-8")
    again = replace(begun, resume=True, threads=2, batch_size=7, plugins=["mine.py"])
    check_run(again)
    open_run(again)
    assert (run / "config.yaml").read_text(encoding="utf-8") == before
    assert (run / "checkpoints").is_dir()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"train": TrainConfig(epochs=9)}, "train.epochs was 3 and is 9"),
        ({"model": {"model_type": "albert"}}, "model.model_type was 'bert' and is 'albert'"),
        ({"model": "folder"}, "model was None and is 'folder'"),
        ({"exit_layers": [2]}, "exit_layers was None and is [2]"),
    ],
)
def test_resuming_with_other_settings_names_them(change, told, begun):
    with pytest.raises(UserError, match="cannot be resumed with other settings") as caught:
        check_run(replace(begun, resume=True, **change))
    assert told in str(caught.value)
    assert "lr was" not in str(caught.value)  # only what differs


def test_what_follows_training_may_be_done_otherwise(begun):
    run = Path(begun.output_dir)
    policy, goal = {"name": "entropy"}, CalibrateConfig(speedup=2.0)
    again = replace(begun, resume=True, policy=policy, calibrate=goal, decode="legal", threads=2)
    check_run(again)
    open_run(again)
    saved = from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")
    assert saved == dump_config(replace(again, resume=False, threads=None))
    assert (run / "checkpoints").is_dir()


def test_resuming_what_never_was_starts(config):
    fresh = replace(config, resume=True)
    check_run(fresh)
    assert (open_run(fresh) / "config.yaml").is_file()


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_run_that_stopped_at_a_mistake_may_be_started_anew(how, config):
    """Say, a wrong data path: the corrected command must not be refused."""
    open_run(replace(config, data="theer"))
    (Path(config.output_dir) / "data").mkdir()  # generated before the mistake was found
    right = replace(config, **how)
    check_run(right)
    run = open_run(right)
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")["data"] == "here"
    assert (run / "data").is_dir()


@pytest.mark.parametrize("name", ["config.yaml", "notes.txt"])
def test_a_folder_of_something_else_is_left_alone(name, config):
    run = Path(config.output_dir)
    run.mkdir()
    (run / name).write_text("train: {epochs: 3}\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"output_dir {str(run)!r}"):
        check_run(config)
    check_run(replace(config, overwrite=True))


def test_a_file_is_no_folder(config):
    Path(config.output_dir).write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="is a file; give a folder"):
        check_run(replace(config, overwrite=True))


def test_a_folder_that_cannot_be_made_is_a_users_mistake(config, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    inside = replace(config, output_dir=str(tmp_path / "file" / "run"))
    check_run(inside)
    with pytest.raises(UserError, match="cannot be written"):
        open_run(inside)


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json(path, {"step": 1})

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder.Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_json(path, {"step": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"step": 1}
    write_json(path, {"step": 3})
    assert json.loads(path.read_text(encoding="utf-8")) == {"step": 3}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
