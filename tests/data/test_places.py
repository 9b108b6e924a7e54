"""Paths that lead nowhere, and folders with all sorts of things in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tokenexit.data.source import load_splits
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

datasets = pytest.importorskip("datasets")
GOOD = '{"tokens": ["Ada"], "ner_tags": ["B-PER"], "text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/dev/null", "neither a file nor a folder but a device or a pipe"),
        ("x" * 5000 + ".jsonl", "cannot be looked up: File name too long"),
        ("~nosuchuser0/data", "cannot be looked up"),
        ("a\0b.jsonl", "cannot be looked up|does not exist"),
        (7, "a file, a folder or a Hub id"),
        (None, "a file, a folder or a Hub id"),
        (["a.jsonl"], "a file, a folder or a Hub id"),
    ],
)
def test_that_are_none(source, message):
    with pytest.raises(UserError, match=message):
        load_splits(source)


def test_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(UserError, match=r"a\.jsonl is neither a file nor a folder"):
        load_splits(tmp_path / "a.jsonl")
    with pytest.raises(UserError, match="holds no data file"):
        load_splits(tmp_path)


def test_a_folder_named_like_a_file(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(UserError, match=r"a\.jsonl holds no data file"):
        load_splits(tmp_path / "a.jsonl")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
def test_without_permission(tmp_path, put):
    path = put(tmp_path / "train.jsonl", GOOD)
    path.chmod(0)
    with pytest.raises(UserError, match=r"train\.jsonl cannot be read as json: Permission"):
        load_splits(tmp_path)


def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch, put):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    path = put(tmp_path / "train.jsonl", GOOD)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"train\.jsonl cannot be read as json: Permission"):
        load_splits(path)


def test_what_editors_and_systems_leave(tmp_path, put):
    put(tmp_path / "train.jsonl", GOOD)
    put(tmp_path / ".ipynb_checkpoints" / "train-checkpoint.jsonl", GOOD)
    for name in (
        "._train.jsonl",
        ".train.jsonl.swp",
        "train.jsonl~",
        "~train.csv",
        ".DS_Store",
    ):
        put(tmp_path / name, b"\0\0")
    assert list(load_splits(tmp_path)) == ["train"]


def test_mixed_endings(tmp_path, put):
    put(tmp_path / "train.jsonl", GOOD)
    put(tmp_path / "test.csv", "text,label\na,x\n")
    assert read_texts(tmp_path)["test"].tags == [["x"]]
    put(tmp_path / "train.csv", "text,label\na,x\n")
    with pytest.raises(UserError, match="2 files claim the train split"):
        load_splits(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "train" / "state.json").write_text("{"),
        lambda folder: (folder / "train" / "state.json").write_text("[]"),
        lambda folder: (folder / "train" / "state.json").unlink(),
        lambda folder: (folder / "dataset_dict.json").write_text('{"splits": 3}'),
        lambda folder: (folder / "train" / "dataset_info.json").write_text('{"features": 1}'),
        lambda folder: next((folder / "train").glob("*.arrow")).unlink(),
        lambda folder: next((folder / "train").glob("*.arrow")).write_bytes(b"ARROW"),
    ],
)
def test_damaged_save_to_disk_folders(tmp_path, damage):
    made = datasets.Dataset.from_list([json.loads(GOOD)] * 20)
    datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "d")
    damage(tmp_path / "d")
    with pytest.raises(UserError, match=r"made by save_to_disk and cannot be read.*save it again"):
        read_tagged(tmp_path / "d")


def test_one_split_of_a_saved_folder_is_read(tmp_path):
    datasets.Dataset.from_list([json.loads(GOOD)]).save_to_disk(tmp_path / "d")
    (tmp_path / "d" / "state.json").unlink()
    assert read_tagged(tmp_path / "d")["all"].tokens == [["Ada"]]


def test_the_log_of_a_run_is_no_data(tmp_path, put):
    """The folder of a run may be that of its data, or have it in its own."""
    put(tmp_path / "train_log.jsonl", '{"step": 1}\n')
    with pytest.raises(UserError, match="holds no data file"):
        load_splits(tmp_path)
    put(tmp_path / "data" / "train.jsonl", GOOD)
    assert list(load_splits(tmp_path)) == ["train"]
    put(tmp_path / "train.conll", "Ada B-PER\n\n")
    assert len(read_tagged(tmp_path)["train"].tokens) == 1
