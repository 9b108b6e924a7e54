"""A run of a cascade: its models in runs of their own, then one folder that commands understand."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tokenexit import CascadeForSequenceClassification, ExitModelForSequenceClassification
from tokenexit.config import from_yaml
from tokenexit.errors import UserError
from tokenexit.workflows import run as workflow
from tokenexit.workflows.commands import open_model
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
    "train": {"max_steps": 60, "batch_size": 8, "epochs": 20, "lr": 3e-3, "head_lr": 3e-3},
    "calibrate": {"grid": 8, "verify": 1, "loose": True},
}
COLOURS = {"warm": "red orange yellow", "cold": "blue green violet"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    words = [(word, label) for label, row in COLOURS.items() for word in row.split()]
    for name, count in (("train", 48), ("validation", 12), ("test", 12)):
        rows = [
            {"sentence": f"the {word} door {i}", "label": label}
            for i, (word, label) in zip(range(count), words * count, strict=False)
        ]
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def load(data: Path, run: Path, *argv: str, method: str = "tangobert") -> Any:
    own = [f"data={data}", f"output_dir={run}", f"method={method}", *argv]
    return load_with_method(ClassificationConfig, own, SMALL)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: Any) -> Path:
    return run_task(load(data, tmp_path_factory.mktemp("runs") / "cascade"))


def test_its_report_says_how_to_use_it(finished, try_lines):
    assert {"label", "confidence", "exit_layer"} <= set(try_lines(finished))


def test_the_run_folder_is_whole(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["num_layers"] == 2
    test = metrics["splits"]["test"]
    assert test["quality_full_depth"] > 0.9
    assert test["num_layers"] == 2
    assert sum(test["exit_histogram"]) == 12
    assert test["mac_ratio"] < 1.0  # two layers of three do for some texts
    assert test["policy"]["name"] == "max_prob"
    with (finished / "pareto.csv").open() as file:
        points = list(csv.DictReader(file))
    assert [p["kind"] for p in points[:3]] == ["full", "static", "engine"]
    assert float(points[1]["mac_ratio"]) < 1.0
    calibration = json.loads((finished / "calibration.json").read_text())
    assert calibration["policy"] == test["policy"]
    assert {p.name for p in (finished / "traces").iterdir()} == {
        "validation.parquet",
        "test.parquet",
        "settings.parquet",
    }
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "a layer stands for a model" in page
    assert "of 2 models on average" in page
    assert "a layer stands for" not in (finished / "stage-2" / "report.html").read_text("utf-8")


def test_each_stage_is_an_ordinary_run(finished):
    for number, depth in ((1, 2), (2, 3)):
        stage = finished / f"stage-{number}"
        assert json.loads((stage / "metrics.json").read_text())["num_layers"] == depth
        assert ExitModelForSequenceClassification.from_pretrained(stage).settings.exit_layers == (
            depth,
        )
        config = from_yaml((stage / "config.yaml").read_text(), "")
        assert config["stages"] == []
        assert config["keep_layers"] == (2 if number == 1 else None)


def test_the_console_script_serves_it(finished, data):
    opened = open_model(str(finished))
    split = opened.split(str(data), "test")
    metrics = json.loads((finished / "metrics.json").read_text())
    result = opened.evaluate(split, "test", None, batch_size=5)
    assert result.to_json()["mac_ratio"] == pytest.approx(metrics["splits"]["test"]["mac_ratio"])
    found = next(iter(opened.predict(["the red door 3"], None, 4)))
    assert found["label"] == "warm"
    assert found["exit_layer"] in (1, 2)
    timed = opened.bench(split, 4, None, batch_size=3, repeats=1)
    few = opened.evaluate(split.head(4), "test", None, batch_size=3)
    assert (timed.n_sentences, timed.batch_size) == (4, 3)
    assert "ForSequenceClassification" in timed.baseline
    assert timed.mac_ratio == pytest.approx(few.mac_ratio)
    assert 0 < timed.speedup_p10 <= timed.speedup_p90


def test_calibrate_changes_the_folder(finished, data, tmp_path, monkeypatch, capsys):
    from tokenexit import cli

    folder = shutil.copytree(finished, tmp_path / "cascade")
    argv = ["calibrate", str(folder), "--data", str(data), "--policy", "margin"]
    monkeypatch.setattr("sys.argv", ["tokenexit", *argv, "--min-quality", "0.5", "--loose"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    held = json.loads((folder / "cascade.json").read_text())
    assert held["policy"]["name"] in ("margin", "never")
    assert held["calibration"]["target"] == {"min_quality": 0.5}
    loaded = CascadeForSequenceClassification.from_pretrained(folder)
    assert loaded.settings.policy == held["policy"]
    assert "multiply-adds" in capsys.readouterr().out


def test_a_run_goes_on_where_it_was_stopped(data, tmp_path, monkeypatch):
    run, steps = tmp_path / "run", "train.max_steps=8"
    whole, seen = workflow.run_task, []

    def stopped(config: Any) -> Path:
        seen.append(Path(config.output_dir).name)
        if seen == ["stage-1", "stage-2"]:
            raise KeyboardInterrupt
        return whole(config)

    monkeypatch.setattr(workflow, "run_task", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_task(load(data, run, steps))
    log = (run / "stage-1" / "train_log.jsonl").read_text()
    with pytest.raises(UserError, match=r"stage-1' already holds a run"):
        run_task(load(data, run, steps))
    with pytest.raises(UserError, match=r"train\.lr was"):
        run_task(load(data, run, steps, "train.lr=0.1", "resume=true"))
    run_task(load(data, run, steps, "resume=true"))
    assert seen == ["stage-1", "stage-2"] * 2
    assert (run / "stage-1" / "train_log.jsonl").read_text() == log  # no step was done again
    assert json.loads((run / "cascade.json").read_text())["stages"] == ["stage-1", "stage-2"]


def test_a_cascade_of_ones_own(data, tmp_path):
    """Models of other widths, one of which trains longer; the policy is as given."""
    stages = [
        {"model": {"hidden_size": 8, "num_hidden_layers": 1}, "train": {"max_steps": 9}},
        {"train.max_steps": 2},
    ]
    argv = [f"stages={json.dumps(stages)}", "policy={name: max_prob, threshold: 0.6}"]
    run = run_task(load(data, tmp_path / "run", *argv, method="single"))
    cascade = CascadeForSequenceClassification.from_pretrained(run)
    assert [stage.backbone.hidden_size for stage in cascade.stages] == [8, 16]
    assert cascade.settings.policy == {"name": "max_prob", "threshold": 0.6}
    last = [
        json.loads((run / f"stage-{n}" / "train_log.jsonl").read_text().splitlines()[-1])["step"]
        for n in (1, 2)
    ]
    assert last == [9, 2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (['stages=[{"keep_layers": 2}]'], "two or more models"),
        (['stages=[{"keep_layer": 2}, {}]'], "keep_layers"),
        (['stages=[{"policy": {"name": "never"}}, {}]'], r"stages\[0\] sets 'policy'"),
        (['stages=[{"keep_layers": 9}, {}]'], r"keep_layers=9 names no layers.* which has 3"),
        (["policy.name=window"], "works for words"),
        (["policy.name=saturation"], "cannot be compared"),
        (["policy.name=oracle"], "looks at gold labels"),
    ],
)
def test_mistakes_show_before_anything_is_trained(data, tmp_path, argv, message):
    with pytest.raises(UserError, match=message):
        run_task(load(data, tmp_path / "run", *argv))
    assert not (tmp_path / "run" / "stage-1").exists()


def test_every_other_layer_is_a_network_without_exits(data, tmp_path):
    config = load(data, tmp_path / "run", "train.max_steps=4", method="layer_dropped")
    metrics = json.loads((run_task(config) / "metrics.json").read_text())
    assert metrics["num_layers"] == 2
    assert metrics["splits"]["test"]["policy"] == {"name": "never"}
    assert metrics["static"] == []
    assert not (tmp_path / "run" / "calibration.json").exists()
    with pytest.raises(UserError, match="no layers of this network"):
        run_task(load(data, tmp_path / "two", "keep_layers=[3,1]", method="single"))
    with pytest.raises(UserError, match="alternate"):
        load(data, tmp_path / "three", "keep_layers=half", method="single")


PLUGIN = '''
from dataclasses import dataclass

from tokenexit.policies import POLICIES, MaxProb


@POLICIES.register("twice_sure")
@dataclass(frozen=True)
class TwiceSure(MaxProb):
    """Another name."""
'''


def test_a_policy_of_ones_own(data, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN, encoding="utf-8")
    argv = [f"plugins=[{plugin}]", "policy={name: twice_sure, threshold: 0.7}"]
    run = run_task(load(data, tmp_path / "run", *argv, "train.max_steps=2"))
    held = json.loads((run / "cascade.json").read_text())
    assert held["policy"] == {"name": "twice_sure", "threshold": 0.7}
