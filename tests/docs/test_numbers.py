"""Figures of the pages are those that were recorded."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCS, BENCHMARKS, RECIPES = ROOT / "docs", ROOT / "benchmarks", ROOT / "recipes"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="docs/ is not installed")


@pytest.fixture
def script(monkeypatch):
    """Load a script as ``python FOLDER/NAME.py`` would find its neighbours."""

    def load(path: Path) -> ModuleType:
        monkeypatch.syspath_prepend(str(path.parent))
        spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


def between(page: Path, mark: str) -> list[str]:
    """What stands between marks, wherever they are."""
    text = page.read_text(encoding="utf-8")
    return [
        one.strip() for one in re.findall(f"<!-- {mark} -->(.*?)<!-- /{mark} -->", text, re.DOTALL)
    ]


def recorded(name: str):
    return json.loads((RECIPES / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_headlines_are_those_of_the_script(script):
    headline = script(BENCHMARKS / "headline.py")
    clocks, quality = (json.loads(p.read_text()) for p in (headline.CLOCKS, headline.QUALITY))
    wanted = headline.table(clocks, quality)
    pages = [ROOT / "README.md", DOCS / "benchmarks.md", DOCS / "choose_an_engine.md"]
    assert [between(page, "headline") for page in pages] == [[wanted]] * 3


def test_claims_stand_beside_what_was_measured(script):
    reproduced = script(BENCHMARKS / "reproduced.py")
    assert reproduced.CLAIMS.keys() <= dict(reproduced.METHODS.items()).keys()
    assert between(DOCS / "reproduced.md", "reproduced") == [reproduced.table()]
    assert between(DOCS / "methods_compared.md", "chosen") == [reproduced.chosen()]


def test_results_are_those_of_the_script(script):
    wanted = script(RECIPES / "record_results.py").table()
    assert between(DOCS / "benchmarks.md", "results") == [wanted]


def test_cut_networks_are_those_of_the_script(script):
    wanted = script(BENCHMARKS / "cut_networks.py").of_page()
    assert between(DOCS / "benchmarks.md", "cut") == [wanted]


def test_clocks_are_those_of_the_script(script):
    table = script(BENCHMARKS / "table.py")
    wanted = table.tables(table.read([BENCHMARKS / "results" / "xeon_2_cores.json"]))
    assert between(DOCS / "benchmarks.md", "clocks") == [wanted]


def test_the_picture_and_the_output_are_what_the_model_said(script):
    found = json.loads((DOCS / "images" / "words.json").read_text())
    assert script(BENCHMARKS / "picture.py").picture(found) == (
        DOCS / "images" / "words.svg"
    ).read_text(encoding="utf-8")
    said = found["texts"][0]
    entities = [(kind, text) for text, kind, _ in said["entities"]]
    shown = "\n".join(["```text", str(entities), str(said["exit_layers"]), "```"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert shown in readme
    assert f'["{said["text"]}"]' in readme


def test_what_the_readme_says_of_fixed_layers():
    static = recorded("pos")["static"]
    second = next(row for row in static if row["layer"] == 2)
    policy, single = (recorded("pos")[key]["test"] for key in ("splits", "single"))
    assert between(ROOT / "README.md", "pos_single") == [f"{100 * single['quality']:.1f}"]
    assert between(ROOT / "README.md", "pos_static") == [f"{100 * second['quality']:.1f}"]
    assert abs(second["quality"] - policy["quality"]) < 0.001


def spent(case: str) -> dict[str, float]:
    """Milliseconds a text by who, of a case of the clocks; of engines in int8."""
    measured = json.loads((BENCHMARKS / "results" / "xeon_2_cores.json").read_text())["measured"]
    rows = next(one["result"]["rows"] for one in measured if one["case"] == case)
    return {
        row["name"].partition(", sorted")[0]: row["ms_per_text"]
        for row in rows
        if row["precision"] == "int8" or row["name"].startswith("ours")
    }


def test_when_another_engine_is_told_to_be_faster_it_was():
    for run in ("ewt", "pos"):
        alone = spent(f"{run}, int8, batch 1, no kernels")
        assert alone["ours, policy"] > max(alone["CTranslate2"], alone["ONNX Runtime"])
        many = spent(f"{run}, int8, batch 32, no kernels")
        assert many["ours, policy"] < 1.1 * min(many["CTranslate2"], many["ONNX Runtime"])
    for run in ("ende", "e2e"):
        batch = spent(f"{run}, int8, batch 32")
        assert batch["ours, full depth"] < min(batch["ours, policy"], batch["CTranslate2"])


@pytest.mark.parametrize("fault", ["model", "engine"])
def test_headlines_of_nothing_are_refused(script, fault):
    headline = script(BENCHMARKS / "headline.py")
    clocks = json.loads(headline.CLOCKS.read_text())
    quality = json.loads(headline.QUALITY.read_text())
    if fault == "model":
        quality = {}
    for one in clocks["measured"]:
        rows = one["result"]["rows"]
        one["result"]["rows"] = [row for row in rows if row["name"].startswith(("ours", "plain"))]
    with pytest.raises(headline.UserError, match="run benchmarks"):
        headline.table(clocks, quality)
