"""Commands on a run read data as the run did, unless they are told otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tokenexit.cli import app
from tokenexit.errors import UserError
from tokenexit.training import TrainConfig
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.lock import locked
from tokenexit.workflows.reading import Reading, reading_of, remembered
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.slow

TRAIN = TrainConfig(max_steps=1, objective={"name": "joint"})
T5 = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2, "num_layers": 2,
      "num_decoder_layers": 2, "vocab_size": 300}  # fmt: skip


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    for name in ("train", "validation", "test"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def options(config: type, data: Path, run: Path, **more: Any) -> Any:
    model = more.pop("model")
    settings = {"policy": {"name": "never"}, "train": TRAIN, "model": model, **more}
    return config(output_dir=str(run), data=str(data), **settings)


@pytest.fixture
def iob1(tmp_path, small_bert, monkeypatch) -> Path:
    """A tagger of IOB1 tags in a column of their own, in a part of a folder."""
    rows = [{"tokens": ["Ada", "met", "Bo"], "mine": ["I-PER", "O", "I-PER"]}] * 20
    write(tmp_path / "corpora" / "english", rows)
    monkeypatch.chdir(tmp_path)
    told = {"convert_tags": True, "column": "mine", "data_name": "english", "model": small_bert}
    config = options(TaggingConfig, Path("corpora"), tmp_path / "run", **told)
    return run_task(config)


def figures(command: str, *arguments: Any) -> Any:
    out = Path("out.json").resolve()
    app([command, *map(str, arguments), "--json", str(out)], standalone_mode=False)
    return json.loads(out.read_text(encoding="utf-8"))


def test_a_tagger(iob1, tmp_path, monkeypatch):
    monkeypatch.chdir("/tmp")
    copied = tmp_path / "copied"
    shutil.copytree(iob1, copied)
    (copied / "config.yaml").unlink()
    monkeypatch.chdir(tmp_path / "corpora")  # the run knows its data from wherever
    for folder in (iob1, copied):
        assert figures("evaluate", folder)["n_sentences"] == 20
    assert figures("evaluate", iob1, "--data", "english/test.jsonl")["n_sentences"] == 20
    assert figures("evaluate", iob1, "--data", tmp_path / "corpora")["n_sentences"] == 20
    assert figures("calibrate", iob1, "--policy", "margin", "--min-quality", "0.5")["policy"]
    assert figures("bench", iob1, "--limit", "2", "--repeats", "1")["repeats"] == 1
    app(["report", str(iob1)], standalone_mode=False)


def test_a_command_can_be_told_otherwise(iob1, tmp_path):
    rows = [{"tokens": ["Ada", "met", "Bo"], "ner_tags": ["B-PER", "O", "B-PER"]}] * 3
    other = write(tmp_path / "other", rows)
    with pytest.raises(UserError, match="mine"):
        figures("evaluate", iob1, "--data", other)
    told = ["--column", "ner_tags", "--no-convert-tags"]
    assert figures("evaluate", iob1, "--data", other, *told)["n_sentences"] == 3
    with pytest.raises(UserError, match=r"IOB1.*--convert-tags"):
        figures("evaluate", iob1, "--no-convert-tags")
    with pytest.raises(UserError, match="--lang has no meaning for taggers"):
        figures("evaluate", iob1, "--lang", "en-de")


def test_an_older_run_whose_model_does_not_know(iob1):
    path = iob1 / "exit_config.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    del held["training"]["reading"]
    path.write_text(json.dumps(held), encoding="utf-8")
    assert figures("evaluate", iob1)["n_sentences"] == 20


def test_a_classifier_of_pairs_without_a_validation_split(tmp_path, small_bert, monkeypatch):
    rows = [{"q": f"is it {i}", "a": "yes", "gold": "ab"[i % 2]} for i in range(20)]
    data = write(tmp_path / "data", rows)
    (data / "validation.jsonl").unlink()
    columns = {"column": "q", "pair_column": "a", "label_column": "gold"}
    config = options(ClassificationConfig, data, tmp_path / "run", model=small_bert, **columns)
    run = run_task(config)
    monkeypatch.chdir(tmp_path)
    assert figures("evaluate", run)["n_sentences"] == 20
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    held_out = figures("evaluate", run, "--split", "validation")
    assert held_out["n_sentences"] == 2
    assert held_out["quality"] == metrics["splits"]["validation"]["quality"]
    told = ["--column", "a", "--pair-column", "q", "--label-column", "gold"]
    assert figures("evaluate", run, "--data", data, *told)["n_sentences"] == 20


def test_a_generator(tmp_path, monkeypatch):
    rows = [{"src_text": f"number {i}", "tgt_text": f"zahl {i}"} for i in range(6)]
    data = write(tmp_path / "data", rows)
    told = {"source_column": "src_text", "target_column": "tgt_text", "model": T5}
    few = {"generation": {"max_new_tokens": 3}, "task": "translation"}
    run = run_task(options(Seq2SeqConfig, data, tmp_path / "run", **told, **few))
    monkeypatch.chdir(tmp_path)
    assert figures("evaluate", run)["n_sentences"] == 6
    turned = ["--source-column", "tgt_text", "--target-column", "src_text"]
    assert figures("evaluate", run, "--data", data, *turned)["n_sentences"] == 6
    assert figures("bench", run, "--limit", "2", "--repeats", "1")["repeats"] == 1
    languages = write(tmp_path / "languages", [{"translation": {"en": "a", "de": "b"}}] * 3)
    assert figures("evaluate", run, "--data", languages, "--lang", "en-de")["n_sentences"] == 3


def test_without_any_data(own_run):
    path = own_run / "exit_config.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**held, "training": None}), encoding="utf-8")
    (own_run / "config.yaml").unlink()
    with pytest.raises(UserError, match="give --data"):
        open_model(str(own_run)).split(None, "test")


def test_data_that_was_moved(own_run, tmp_path):
    path = own_run / "exit_config.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    gone = str(tmp_path / "gone")
    held["training"] = {**held["training"], "data": gone}
    path.write_text(json.dumps(held), encoding="utf-8")
    opened = open_model(str(own_run))
    with pytest.raises(UserError, match=r"data of the run, .*gone, is not there .* --data"):
        opened.split(None, "test")
    with pytest.raises(UserError, match="does not exist"):
        opened.split(gone, "test")


@pytest.mark.parametrize(
    "training",
    [None, {}, {"reading": 3}, {"reading": {"column": 7, "lang": None, "x": "y"}, "seed": "a"}],
)
def test_what_is_no_record_is_passed_over(training, tmp_path):
    assert remembered(tmp_path, training) == Reading()


def test_settings_at_their_defaults_are_not_kept():
    assert reading_of(TaggingConfig("x")) == {}
    assert reading_of(ClassificationConfig("x", label_column="gold")) == {"label_column": "gold"}
    assert reading_of(Seq2SeqConfig("x", lang="en-de")) == {"lang": "en-de"}


@pytest.mark.parametrize("command", ["calibrate", "report"])
def test_a_folder_that_a_run_is_writing_is_not_written(command, own_run):
    with locked(own_run), pytest.raises(UserError, match="being written by a run"):
        app([command, str(own_run)], standalone_mode=False)
    assert not (own_run / ".lock").exists()
