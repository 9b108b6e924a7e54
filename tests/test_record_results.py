"""The script that records finished runs: several seeds, single heads of equal training."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.errors import UserError

SCRIPT = Path(__file__).parents[1] / "recipes" / "record_results.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="recipes are not installed")
POINT = '"{""name"": ""never""}"'


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("recipes_record_results", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    return module


def run(folder: Path, right: int, seed: int = 0, epochs: int = 2) -> Path:
    """A finished run in which so many of eight texts of one word are right."""
    folder.mkdir(parents=True)
    (folder / "traces").mkdir()
    gold = [0, 1] * 4
    said = [g if n < right else 1 - g for n, g in enumerate(gold)]
    columns = {
        "text": list(range(8)), "position": [0] * 8, "exit_layer": [1] * 8, "prediction": said,
        "confidence": [0.9] * 8, "gold": gold,
    }  # fmt: skip
    pq.write_table(pa.table(columns), folder / "traces" / "test.parquet")
    test = {
        "metric": "accuracy", "quality": right / 8, "quality_full_depth": 0.75, "figures": {},
        "mac_ratio": 0.4, "depth_speedup": 2.5,
    }  # fmt: skip
    metrics = {
        "task": "pos", "data": "d/corpus", "model": "m/base", "seed": seed, "labels": ["A", "B"],
        "splits": {"test": test}, "static": [{"layer": 1, "quality": 0.9, "mac_ratio": 0.3}],
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "config.yaml").write_text(f"train:\n  epochs: {epochs}\n  lr: 0.1\n")
    (folder / "calibration.json").write_text('{"reached": true, "candidates": [1]}')
    (folder / "pareto.csv").write_text(
        f"kind,policy,quality,depth_speedup,mac_ratio\nfull,{POINT},0.75,1.0,0.9\n"
    )
    return folder


def test_seeds_are_a_mean_and_a_spread(script, tmp_path):
    seeds = tmp_path / "seeds"
    runs = [run(seeds / f"seed-{seed}", right, seed) for seed, right in ((0, 6), (1, 8))]
    single = [run(tmp_path / "single" / f"seed-{seed}", 8, seed) for seed in (0, 1)]
    script.record("corpus", [seeds], [single[0].parent])
    held = json.loads((tmp_path / "results" / "corpus.json").read_text())
    assert list(held["runs"]) == ["0", "1"]
    assert held["runs"]["0"]["calibration"] == {"reached": True}
    table = script.table()
    assert "| corpus | accuracy | 100.0 ± 0.0 | 75.0 ± 0.0 | 87.5 ± 17.7 |" in table
    assert "| 87.5 ± 17.7 % | 2.50x |" in table
    assert "`corpus`: exits do not help, stopping everybody at layer 1 is as good" in table
    script.record("corpus", runs[:1], [])
    assert "| corpus | accuracy |  | 75.0 | 75.0 |" in script.table()


def test_what_is_kept_of_the_single_head_has_an_interval(script, tmp_path):
    script.record("corpus", [run(tmp_path / "a", 6)], [run(tmp_path / "b", 8)])
    against = json.loads((tmp_path / "results" / "corpus.json").read_text())["runs"]["0"][
        "against_single"
    ]
    assert (against["difference"], against["kept"]) == (-0.25, 0.75)
    assert against["kept_low"] < 0.75 < against["kept_high"] <= 1
    assert f"75.0 % ({100 * against['kept_low']:.1f} to" in script.table()


def test_runs_that_do_not_belong_together_are_refused(script, tmp_path):
    first, twin = run(tmp_path / "a", 6), run(tmp_path / "b", 6)
    longer, other = run(tmp_path / "c", 6, seed=1, epochs=5), run(tmp_path / "d", 6, seed=7)
    for runs, singles, says in (
        ([first, twin], [], "has seed 0 as one before it"),
        ([first, longer], [], "another train"),
        ([first], [other], "no run with exits has seed 7"),
        ([longer], [run(tmp_path / "e", 6, seed=1)], "epochs was 2 against 5"),
        ([tmp_path / "none"], [], "give a finished run"),
    ):
        with pytest.raises(UserError, match=says):
            script.record("corpus", runs, singles)
    assert not list((tmp_path / "results").iterdir())


def test_a_threshold_by_hand_is_no_row(script, tmp_path):
    folder = run(tmp_path / "a", 6)
    (folder / "calibration.json").unlink()
    script.record("corpus", [folder])
    table = script.table()
    assert "| corpus |" not in table
    assert "`corpus` is no row" in table
