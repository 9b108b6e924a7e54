"""Several seeds in one command."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from tokenexit.config import load_config
from tokenexit.errors import UserError
from tokenexit.reporting import write_report
from tokenexit.reporting.seeds import seeds_text, summary
from tokenexit.workflows import seeds as module
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seeds import run_seeds

pytestmark = pytest.mark.slow

SMALL = {
    "model": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
    },
    "train": {"epochs": 1, "batch_size": 8, "objective": {"name": "joint"}},
    "calibrate": {"grid": 3, "verify": 1, "min_quality": 0.5, "loose": True},
    "task": "pos",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    for name, count in (("train", 16), ("validation", 6), ("test", 6)):
        rows = [
            {"tokens": ["a", "cat", f"w{i}"], "pos_tags": ["DET", "NOUN", "X"]}
            for i in range(count)
        ]
        text = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def config(data: Path, folder: Path, *told: str) -> TaggingConfig:
    return load_config(TaggingConfig, [f"data={data}", f"output_dir={folder}", *told], SMALL)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_each_seed_has_a_run_and_all_have_a_mean(data, tmp_path, caplog):
    folder = run_task(config(data, tmp_path / "all", "seeds=[0,3]"))
    record = read(folder / "seeds.json")
    assert list(record["seeds"]) == ["0", "3"]
    alone = run_task(config(data, tmp_path / "alone", "seed=3"))
    splits = read(alone / "metrics.json")["splits"]
    assert record["seeds"]["3"]["splits"] == splits  # as if it had been run alone
    values = [run["splits"]["test"]["quality"] for run in record["seeds"].values()]
    test = record["summary"]["test"]["quality"]
    assert test == {
        "n": 2, "mean": statistics.fmean(values), "sd": statistics.stdev(values),
        "min": min(values), "max": max(values),
    }  # fmt: skip
    assert (folder / "seed-0" / "report.html").is_file()
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{test['mean']:.4f}" in html
    assert write_report(folder).read_text(encoding="utf-8") == html
    # Another seed is added by resuming, and what is there stays the same.
    again = run_task(config(data, tmp_path / "all", "seeds=[0,3,4]", "resume=true"))
    after = read(again / "seeds.json")
    assert after["summary"]["test"]["quality"]["n"] == 3
    assert after["seeds"]["3"]["splits"]["test"] == splits["test"]
    # A taken folder is refused, and overwriting leaves nothing of seeds that are not asked for.
    with pytest.raises(UserError, match="already holds a run"):
        run_task(config(data, tmp_path / "all", "seeds=[0]"))
    run_task(config(data, tmp_path / "all", "seeds=[0]", "overwrite=true"))
    assert not (folder / "seed-3").exists()
    assert list(read(folder / "seeds.json")["seeds"]) == ["0"]


def made_up(folder: Path, quality: float) -> None:
    row = {
        "task": "pos", "split": "test", "metric": "accuracy", "quality": quality,
        "quality_full_depth": 0.9, "relative_quality": quality / 0.9, "mean_exit_layer": 1.5,
        "num_layers": 3, "depth_speedup": 2.0, "exit_histogram": [1, 1, 1], "mac_ratio": 0.6,
        "n_sentences": 5, "n_rows": 9,
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"splits": {"test": row}}))


@pytest.mark.parametrize("error", [UserError("no luck"), RuntimeError("boom"), ValueError()])
def test_a_seed_that_fails_is_said_and_the_others_go_on(data, tmp_path, caplog, error):
    def run(one):
        if one.seed == 1:
            raise error
        made_up(Path(one.output_dir), 0.8 + one.seed / 100)

    folder = run_seeds(config(data, tmp_path / "all", "seeds=[0,1,2]"), run)
    record = read(folder / "seeds.json")
    why = str(error) or "ValueError"
    assert record["seeds"]["1"]["error"] == why
    assert record["summary"]["test"]["quality"]["n"] == 2
    assert record["summary"]["test"]["quality"]["mean"] == pytest.approx(0.81)
    assert f"Seed 1 failed: {why}" in caplog.text
    assert f"Seed 1 failed: {why}" in (folder / "report.html").read_text()
    shown = seeds_text(record)
    assert f"seed 1 failed: {why}" in shown
    assert "0.8100" in shown


def test_where_all_fail_so_does_the_command(data, tmp_path):
    def run(one):
        raise UserError(f"no luck with {one.seed}")

    with pytest.raises(UserError, match="no luck with 2"):
        run_seeds(config(data, tmp_path / "all", "seeds=[1,2]"), run)


def test_a_kill_is_no_failure_of_one_seed(data, tmp_path, monkeypatch):
    def run(one):
        if one.seed == 2:
            raise KeyboardInterrupt
        made_up(Path(one.output_dir), 0.8)

    with pytest.raises(KeyboardInterrupt):
        run_seeds(config(data, tmp_path / "all", "seeds=[1,2,3]"), run)
    assert list(read(tmp_path / "all" / module.SEEDS)["seeds"]) == ["1"]


@pytest.mark.parametrize("told", ["seeds=[1,1]", "seeds=[-1]", "seeds=[0,x]", "seeds=[1.5]"])
def test_seeds_that_make_no_sense(data, tmp_path, told):
    with pytest.raises(UserError, match="seeds"):
        run_task(config(data, tmp_path / "all", told))
    assert not (tmp_path / "all").exists()


def test_one_seed_has_no_spread():
    row = {"quality": 0.5, "relative_quality": None}
    record = {"seeds": {"0": {"splits": {"test": row}}}}
    assert summary(record)["test"] == {
        "quality": {"n": 1, "mean": 0.5, "sd": None, "min": 0.5, "max": 0.5}
    }
