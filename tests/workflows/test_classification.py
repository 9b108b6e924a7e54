"""A run of a text classifier from data to report, and what the console script does with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenexit import ExitModelForSequenceClassification
from tokenexit.config import load_config
from tokenexit.errors import UserError
from tokenexit.policies import Hash
from tokenexit.reducers import ByPolicy
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.compare import CompareConfig, compare
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.run import run_task

pytestmark = pytest.mark.slow

SMALL = {
    "model": {
        "model_type": "bert",
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
    },
    "heads": {"name": "linear", "gate": True},
    "train": {"max_steps": 60, "batch_size": 8, "epochs": 20, "lr": 3e-3, "head_lr": 3e-3},
    "calibrate": {"grid": 4, "verify": 1, "loose": True},
}
COLOURS = {"warm": "red orange yellow", "cold": "blue green violet"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    words = [(word, label) for label, row in COLOURS.items() for word in row.split()]
    for name, count in (("train", 48), ("validation", 12), ("test", 12)):
        rows = [
            {"sentence": f"the {word} door {i}", "sentence2": "or not", "label": label}
            for i, (word, label) in zip(range(count), words * count, strict=False)
        ]
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: Any) -> Path:
    run = tmp_path_factory.mktemp("runs") / "texts"
    return run_task(load_config(ClassificationConfig, [f"data={data}", f"output_dir={run}"], SMALL))


def test_it_learns_and_the_run_folder_is_whole(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["task"] == "classification"
    assert metrics["splits"]["test"]["metric"] == "accuracy"
    assert metrics["splits"]["test"]["quality_full_depth"] > 0.9
    assert metrics["splits"]["test"]["n_rows"] == 12
    report = (finished / "report.html").read_text()
    assert "Where texts leave" in report
    assert "A text leaves after" in report
    card = (finished / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "AutoModelForSequenceClassification" in card


def test_its_report_says_how_to_use_it(finished, try_lines):
    assert set(try_lines(finished)) == {"label", "confidence", "exit_layer", "text"}
    page = (finished / "report.html").read_text()
    assert 'id="threshold"' in page
    assert "<th>Precision</th><th>Recall</th><th>F1</th>" in page


def test_the_console_script_serves_it(finished, data):
    opened = open_model(str(finished))
    split = opened.split(str(data), "test")
    result = opened.evaluate(split, "test", None, batch_size=5, on_unknown="error")
    assert result.n_rows == 12
    assert opened.bench(split, 4, None, batch_size=2, repeats=1).n_sentences == 4
    with pytest.raises(UserError, match="has no meaning for text classifiers"):
        opened.evaluate(split, "test", None, decode="legal")
    model = ExitModelForSequenceClassification.from_pretrained(finished)
    assert model.predict([("the red door", "or not")])[0].label == "warm"


def test_an_unseen_label_at_evaluation(finished, data, tmp_path):
    row = {"sentence": "the grey door", "sentence2": "or not", "label": "neither"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row), encoding="utf-8")
    opened = open_model(str(finished))
    split = opened.split(str(tmp_path), "test")
    with pytest.raises(UserError, match=r"outside the training set: 'neither'"):
        opened.evaluate(split, "test", None)
    assert opened.evaluate(split, "test", None, on_unknown="keep").quality == 0


def test_policies_are_compared_on_texts_as_on_words(finished, data, tmp_path):
    table = compare(
        CompareConfig(
            run=str(finished), data=str(data), output_dir=str(tmp_path), bench=[],
            policies=["entropy", "patience", "learned_gate", "window"],
        )
    ).read_text()  # fmt: skip
    assert "| `patience` |" in table
    assert "works for words" in table


def test_rows_are_taken_out_in_training_and_after(data, tmp_path):
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}", "method=hash_ee_texts"]
    run = run_task(
        load_with_method(ClassificationConfig, told, {**SMALL, "heads": {"name": "linear"}})
    )
    model = ExitModelForSequenceClassification.from_pretrained(run)
    assert isinstance(model.reducer, ByPolicy)
    assert model.reducer.policy == Hash(1, 6)
    assert model.reducer.whole  # special tokens run to the top
    figures = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert figures["quality"] > 0.8
    assert figures["mac_ratio"] < 0.95


def test_a_run_that_goes_on_from_another_knows_what_its_texts_were(
    finished, data, tmp_path, caplog
):
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}", f"model={finished}",
            "train.epochs=1", "train.max_steps=null"]  # fmt: skip
    run = run_task(load_config(ClassificationConfig, told, SMALL))
    kept = json.loads((run / "exit_config.json").read_text(encoding="utf-8"))
    assert kept["training"]["validation_looks"] == 1
    assert [one["validation_looks"] for one in kept["training"]["earlier_trainings"]] == [10]
    assert kept["calibration"]["data_used_for"] == ["training"]  # they begin the training split
    assert "trained on texts that are validation texts here" in caplog.text
    assert "earlier" not in (run / "README.md").read_text(encoding="utf-8")
