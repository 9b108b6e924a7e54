"""The script that holds exits against networks cut to k layers and trained alone."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.workflows.method_runs import plan

FOLDER = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(
    not (FOLDER / "cut_networks.py").is_file(), reason="benchmarks are not installed"
)
ENCODER = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3}
DECODER = {"model_type": "t5", "d_model": 16, "num_layers": 4, "num_decoder_layers": 4}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location(
        "benchmarks_cut_networks", FOLDER / "cut_networks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def planned(script, **told):
    config = script.CutConfig(output_dir="out", data="data", **told)
    names = {one.name for one in script.fields(script.CompareMethodsConfig)}
    settings = {name: getattr(config, name) for name in names}
    settings["trainings"] = [*script.cuts(config).values(), *config.trainings]
    return {run.method: run for run in plan(script.CompareMethodsConfig(**settings))}


def test_a_cut_is_the_plain_training_of_a_smaller_network(script):
    runs = planned(script, task="ner", model=ENCODER, seeds=[3])
    assert list(runs) == ["single", "first_layers", "cut-1", "cut-2", "halt_and_copy"]
    alone, cut = runs["single"].config, runs["cut-2"].config
    assert (alone.keep_layers, cut.keep_layers, cut.exit_layers) == (None, 2, [])
    assert cut.train == alone.train
    assert cut.train.objective == {"name": "single"}
    assert (cut.seed, cut.heads) == (3, alone.heads)
    told = runs["halt_and_copy"].config.train
    assert (told.epochs, told.lr, told.batch_size) == (cut.train.epochs, cut.train.lr, 32)


def test_of_a_generator_the_decoder_is_cut(script):
    runs = planned(script, task="data_to_text", model=DECODER, layers=[1, 4])
    assert runs["cut-1"].config.model == {**DECODER, "num_decoder_layers": 1}
    assert "cut-4" not in runs


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"task": "ner", "model": ENCODER, "layers": [4]}, "from 1 to 3"),
        ({"task": "data_to_text", "model": "google-t5/t5-small"}, "description of a fresh"),
    ],
)
def test_what_cannot_be_cut_is_refused(script, told, says):
    with pytest.raises(UserError, match=says):
        planned(script, **told)


def point(kind, quality, macs, valid, policy="{}"):
    return {
        "kind": kind, "policy": policy, "quality": quality, "mac_ratio": macs,
        "validation_quality": valid, "validation_mac_ratio": macs,
    }  # fmt: skip


def run(method, layers, macs, points, seed=0, curve=""):
    calibrated = {
        "policy": {"name": "entropy"}, "metric": "f1", "depth_speedup": 2.0,
        "quality": points[-1]["quality"], "mac_ratio": points[-1]["mac_ratio"],
    }  # fmt: skip
    found = {
        "method": method, "seed": seed, "num_layers": layers, "plain_macs": macs,
        "points": points, "calibrated": calibrated,
    }  # fmt: skip
    return {**found, "curve": curve} if curve else found


@pytest.fixture
def folder(tmp_path, script):
    """Where exits look best on the test split, another setting is best on the validation split."""
    settings = {"task": "ner", "data": "d/corpus", "model": "m/base", "train": {"lr": 1}}
    exits = [
        point("full", 0.80, 1.0, 0.80),
        point("engine", 0.79, 0.45, 0.70, "lucky"),
        point("engine", 0.74, 0.40, 0.75, "chosen"),
    ]
    runs = {
        "single": run("single", 4, 100, [point("full", 0.81, 1.0, 0.81)]),
        "cut-2": run("own", 2, 50, [point("full", 0.70, 1.0, 0.70)], curve="cut_networks"),
        "mine": run("halt_and_copy", 4, 100, exits),
        "broken": {"method": "x", "seed": 0, "error": "why"},
    }
    content = {"command": "run me", "settings": settings, "runs": runs}
    (tmp_path / script.RECORD).write_text(json.dumps(script.recorded(content)))
    return tmp_path


def test_exits_are_chosen_on_validation_within_the_arithmetic_of_a_cut(script, folder):
    (record,) = script.read([str(folder)])
    assert record["cuts"]["2"]["0"] | {"mac_ratio": 0.5} == record["cuts"]["2"]["0"]
    assert list(record["cuts"]) == ["2", "4"]
    from cut_table import beside

    assert beside(record, "halt_and_copy", "2") == {"0": (0.70, 0.74)}
    assert beside(record, "halt_and_copy", "4") == {"0": (0.81, 0.80)}


def test_the_table_says_which_cut_is_as_good(script, folder):
    told = script.tables(script.read([str(folder)]))
    assert "| 2 | 0.50 | 70.0 | 74.0 |" in told
    assert "74.0 at 0.40; the smallest cut as good as that has 4 layers and takes 1.00" in told
    assert "- `broken`: why" in told


def test_seeds_of_several_folders_are_one_table_but_none_counts_twice(script, folder, tmp_path):
    record = json.loads((folder / script.RECORD).read_text())
    (other := tmp_path / "other").mkdir()
    moved = {
        part: {name: {"1": seeds["0"]} for name, seeds in record[part].items()}
        for part in ("cuts", "exits")
    }
    (other / script.RECORD).write_text(json.dumps({**record, **moved}))
    (both,) = script.read([str(folder), str(other)])
    assert set(both["cuts"]["2"]) == {"0", "1"}
    assert "70.0 ± 0.0" in script.tables([both])
    with pytest.raises(UserError, match="twice"):
        script.read([str(folder), str(folder)])
    (other / script.RECORD).write_text(json.dumps({**record, "train": {"lr": 2}}))
    with pytest.raises(UserError, match="other trainings"):
        script.read([str(folder), str(other)])


def test_the_headline_has_the_smallest_cut_as_good(script, folder, tmp_path, monkeypatch):
    import cut_table
    import headline

    record = json.loads((folder / script.RECORD).read_text())
    monkeypatch.setattr(headline, "CUT", tmp_path / "cut")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "ewt.json").write_text(json.dumps(record))
    clocks, quality = (json.loads(path.read_text()) for path in (headline.CLOCKS, headline.QUALITY))
    head, _, first, second, *rest = headline.table(clocks, quality).splitlines()
    assert head.endswith("| cut as good |")
    assert first.endswith("| 4 layers, 2.50x the work |")
    assert second.endswith("|  |")
    assert all(line.count("|") == head.count("|") for line in rest)
    best = cut_table.Match(0.4)
    assert headline.table(clocks, quality, {"ewt": best}).splitlines()[2].endswith("| none |")


def test_a_recorded_corpus_comes_into_the_page(script, folder, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- cut -->\nnothing\n<!-- /cut -->\nafter\n")
    monkeypatch.setattr(script, "RESULTS", tmp_path / "cut")
    monkeypatch.setattr(script, "PAGE", page)
    script.main(["record", "corpus", str(folder)])
    assert "**corpus**, f1" in page.read_text()
    assert page.read_text().startswith("before\n<!-- cut -->\n**corpus**")
