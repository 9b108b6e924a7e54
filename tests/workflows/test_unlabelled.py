"""Training texts without a label: who learns from them, and who says that they are left out."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tokenexit.config import load_config
from tokenexit.data.texts import UNLABELLED
from tokenexit.errors import UserError
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.training import make_accelerator, train
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.recipes import recipe_of
from tokenexit.workflows.recipes.labels import training_sentences
from tokenexit.workflows.run import run_task

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "model": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 32, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    "heads": {"name": "linear", "dropout": 0.0},
    # Every step sees every text, so that only what is learned from them can differ.
    "train": {"max_steps": 8, "batch_size": 100, "epochs": 8, "lr": 3e-3, "head_lr": 3e-3},
    "calibrate": {"grid": 4, "verify": 1, "loose": True},
}  # fmt: skip
LONG = ("train.max_steps=40", "train.lr=0.01", "train.head_lr=0.01")
LABELS = {"warm": "red orange yellow", "cold": "blue green violet"}
WORDS = [(word, label) for label, row in LABELS.items() for word in row.split()]


def write(path: Path, bare: int = 0) -> None:
    rows = [{"sentence": f"the {word} door", "label": label} for word, label in WORDS * 2]
    rows += [{"sentence": f"a {word} window and a door", "label": None} for word, _ in WORDS[:bare]]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.jsonl", bare=5)
    for name in ("validation", "test"):
        write(folder / f"{name}.jsonl")
    return folder


def configured(data: Path, tmp_path: Path, *argv: str) -> ClassificationConfig:
    given = [f"data={data}", f"output_dir={tmp_path / 'run'}", *argv]
    return load_with_method(ClassificationConfig, given, SMALL)


def moved(first: dict[str, Any], second: dict[str, Any], part: str) -> float:
    names = [name for name in first if name.startswith(part)]
    return max((first[name] - second[name]).abs().max().item() for name in names)


def taught(config: ClassificationConfig, model: Any, split: Any, tmp_path: Path) -> dict[str, Any]:
    numbers = class_numbers(split, model.labels)
    sentences = training_sentences(model.encoder.encode(split.tokens, numbers))
    accelerator = make_accelerator(config.train, tmp_path)
    train(model, sentences, config.train, accelerator=accelerator, folder=tmp_path / "weights")
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def test_the_second_stage_learns_from_them_and_the_first_does_not(data, tmp_path):
    config = configured(data, tmp_path, "method=fastbert", "heads.dropout=0", *LONG)
    split: Any = recipe_of(config).read(tmp_path)["train"]
    assert len(split) == 17
    assert split.tags[-5:] == [[UNLABELLED]] * 5
    # In double precision: sums in another order then stay the same through all of Adam's steps.
    model = recipe_of(config).build(split).double()
    assert model.labels == ("cold", "warm")
    alone = taught(config, copy.deepcopy(model), split.labelled(), tmp_path)
    with_all = taught(config, model, split, tmp_path)
    assert moved(alone, with_all, "network.") < 1e-6
    assert moved(alone, with_all, "heads.exits.") > 1e-3


def test_a_whole_run_with_them(data, tmp_path):
    run = run_task(configured(data, tmp_path, "method=fastbert"))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["labels"] == ["cold", "warm"]
    assert metrics["splits"]["test"]["n_rows"] == 12


def test_other_objectives_leave_them_out_and_say_so_once(data, tmp_path, caplog):
    config = configured(data, tmp_path, "method=pabee")
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        splits = recipe_of(config).read(tmp_path)
    assert len(splits["train"]) == 12
    said = [r.getMessage() for r in caplog.records if "no label" in r.getMessage()]
    assert len(said) == 1
    assert "5 of 17 texts have no label and are left out" in said[0]
    assert "frozen_distillation" in said[0]
    write(data / "train.jsonl")
    again = recipe_of(config).read(tmp_path)
    assert again["train"].tokens == splits["train"].tokens
    assert again["train"].tags == splits["train"].tags


def test_what_is_held_out_of_a_lone_file_has_labels(tmp_path):
    write(tmp_path / "texts.jsonl", bare=6)
    config = configured(tmp_path / "texts.jsonl", tmp_path, "method=fastbert")
    splits = recipe_of(config).read(tmp_path)
    assert len(splits["train"]) + len(splits["validation"]) == 18
    assert [UNLABELLED] not in (splits["validation"].tags or [])
    assert (splits["train"].tags or []).count([UNLABELLED]) == 6


def test_no_label_at_all(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"sentence": "a", "label": null}\n{"sentence": "b", "label": null}')
    config = load_config(
        ClassificationConfig, [f"data={path}", f"output_dir={tmp_path / 'run'}"], SMALL
    )
    with pytest.raises(UserError, match="no text has a label"):
        recipe_of(config).read(tmp_path)


def test_a_validation_text_without_a_label(data, tmp_path):
    write(data / "validation.jsonl", bare=1)
    with pytest.raises(UserError, match=r"\[validation\], row 12, column 'label': None is no"):
        run_task(configured(data, tmp_path, "method=fastbert"))
