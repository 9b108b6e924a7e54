"""A metric of one's own, from a file, in a recipe and on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tokenexit.cli import main
from tokenexit.config import load_config
from tokenexit.errors import UserError
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.run import run_task

pytestmark = pytest.mark.slow

PLUGIN = """
from tokenexit.metrics import METRICS, Metric


@METRICS.register("nouns_found")
class NounsFound(Metric):
    '''Share of nouns that are called nouns.'''

    of = "labels"

    def score(self, predictions, references):
        pairs = [
            (said, gold)
            for text, true in zip(predictions, references, strict=True)
            for said, gold in zip(text, true, strict=True)
            if gold == "NOUN"
        ]
        return sum(said == gold for said, gold in pairs) / max(len(pairs), 1)
"""
SMALL = {
    "model": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
    },
    "train": {"epochs": 2, "batch_size": 8, "objective": {"name": "joint"}, "lr": 1e-2},
    "calibrate": {"grid": 3, "verify": 1, "loose": True},
    "task": "pos",
}  # fmt: skip


@pytest.fixture
def places(tmp_path) -> tuple[Path, Path]:
    data, plugin = tmp_path / "data", tmp_path / "nouns.py"
    plugin.write_text(PLUGIN)
    data.mkdir()
    for name, count in (("train", 24), ("validation", 8), ("test", 6)):
        rows = [
            {"tokens": ["a", "cat", f"w{i}"], "pos_tags": ["DET", "NOUN", "X"]}
            for i in range(count)
        ]
        text = "\n".join(json.dumps(row) for row in rows)
        (data / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return data, plugin


def test_a_run_and_the_console_script_measure_by_it(places, tmp_path, monkeypatch, capsys):
    data, plugin = places
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}", f"plugins=[{plugin}]"]
    run = run_task(load_config(TaggingConfig, [*told, "metric=nouns_found"], SMALL))
    test = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert test["metric"] == "nouns_found"
    assert test["quality"] == test["figures"]["nouns_found"]
    calibrated = json.loads((run / "calibration.json").read_text())
    assert calibrated["measured"]["metric"] == "nouns_found"
    assert calibrated["data_used_for"] == ["choosing the epoch"]
    assert "nouns found" in (run / "report.html").read_text()

    def ask(*more: str) -> str:
        argv = ["evaluate", str(run), "--data", str(data), *more]
        monkeypatch.setattr(sys, "argv", ["tokenexit", *argv])
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        assert ended.value.code == 0, out.err
        return out.out

    assert "nouns found" in ask("--plugin", str(plugin))
    assert "accuracy" in ask("--metric", "accuracy")


def test_one_that_is_not_loaded_is_named_before_anything_is_written(places, tmp_path):
    data, _ = places
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}", "metric=never_loaded"]
    with pytest.raises(UserError, match=r"Unknown metric 'never_loaded' for pos.*plug-in"):
        run_task(load_config(TaggingConfig, told, SMALL))
    assert not (tmp_path / "run").exists()


def test_a_promise_of_a_tagger_rests_on_texts_that_chose_nothing(places, tmp_path):
    data, _ = places
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}"]
    risk = ["calibrate.risk=0.5", "calibrate.delta=0.5"]
    run = run_task(load_config(TaggingConfig, [*told, *risk], SMALL))
    found = json.loads((run / "calibration.json").read_text())
    assert (found["data_used_for"], found["promise"]["n"]) == ([], 4)
    assert found["measured"]["texts_in_split"] == 8
    log = [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]
    assert sum("validation_quality" in entry for entry in log) == 2
    assert json.loads((run / "exit_config.json").read_text())["training"]["validation_looks"] == 2
    test = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert 0 <= test["figures"]["texts_changed"] <= 1
    assert "4 of the 8 texts of the validation split (4 others chose among policies)" in (
        (run / "README.md").read_text().replace("\xa0", " ")
    )
