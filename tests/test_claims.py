"""What pages say of results is held against what was recorded."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tokenexit.evaluation.frontier import frontier
from tokenexit.methods import METHODS

ROOT = Path(__file__).parents[1]
RECIPES, RESULTS = ROOT / "recipes", ROOT / "recipes" / "results"
pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="results are not installed")
TABLES = sorted(RESULTS.glob("*/*/README.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *TABLES]
FILES = sorted(RESULTS.glob("*.json"))


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def recorded(path: Path) -> dict[str, Any]:
    return json.loads(text(path))


def below_a_fixed_layer(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Points of the curve that stopping everybody at one layer beats at equal arithmetic."""
    pairs = [(float(p["mac_ratio"]), float(p["quality"]), p) for p in found["curve"]]
    line = frontier([(c, q) for c, q, p in pairs if p["kind"] in ("static", "full")])
    reached = [(line.at(cost), quality, p) for cost, quality, p in pairs if p["kind"] == "engine"]
    return [p for fixed, quality, p in reached if fixed is not None and quality < fixed]


def runs_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return list(found["runs"].values()) if "runs" in found else [found]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_page_says_that_exits_always_beat_fixed_layers(page):
    said = re.search(
        r"(no (point|setting) of (a|any|the) curve|every (point|setting) of (a|any|every) curve)"
        r"[^.]*\b(below|above|beats?)\b",
        text(page),
        re.IGNORECASE,
    )
    lost = [path.stem for path in FILES for run in runs_of(recorded(path)) if
            below_a_fixed_layer(run)]  # fmt: skip
    assert not (said and lost), f"{said and said.group()!r} is not so on {lost}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_foresight_is_called_a_hypothesis_wherever_it_is_named(page):
    assert "`foresight" not in text(page) or "hypothesis" in text(page)


def test_foresight_calls_itself_so():
    method = METHODS.get("foresight")
    assert "hypothesis" in method.paper
    assert "hypothesis" in str(method.__doc__)


@pytest.mark.parametrize("page", TABLES, ids=lambda p: p.parent.name)
def test_method_tables_lead_with_what_validation_chose(page):
    header = next(line for line in text(page).splitlines() if line.startswith("| Method |"))
    columns = [cell.strip() for cell in header.strip("| ").split("|")]
    chosen = columns.index("Calibrated")
    on_test = [columns.index(name) for name in ("AUC", "ELUE", "99% kept at")]
    assert chosen < min(on_test)
    assert re.search(r"upper\s+bound", text(page))


@pytest.mark.parametrize("page", ["trainings", "context_gates"])
def test_pages_that_read_curves_on_test_say_what_that_is(page):
    path = ROOT / "docs" / f"{page}.md"
    assert "frontier" not in text(path) or "upper bound" in text(path)


@pytest.mark.parametrize("name", ["banking77", "goemotions_sentiment", "snli_cad"])
def test_method_tables_hold_what_was_measured(name):
    folder = RESULTS / "methods" / name
    with (folder / "comparison.csv").open(encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file) if not row["error"]}
    lines = [line.split("|") for line in text(folder / "README.md").splitlines()]
    shown = {cells[1].split("`")[1]: cells for cells in lines if len(cells) > 9 and "`" in cells[1]}
    header = next(cells for cells in lines if cells[1:2] == [" Method "])
    column = [cell.strip() for cell in header].index("Calibrated")
    assert set(rows) <= set(shown)
    for method, row in rows.items():
        wanted = f"{100 * float(row['calibrated_quality']):.1f}"
        assert shown[method][column].split()[0] == wanted, method


# --- the table of recorded runs ------------------------------------------------------------------


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES))
    spec = importlib.util.spec_from_file_location("recipes_record", RECIPES / "record_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def rows_of(table: str) -> dict[str, list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return {(cells := [c.strip() for c in line.strip("|").split("|")])[0]: cells for line in lines}


def test_where_a_fixed_layer_is_as_good_the_table_says_so(results):
    table = results.table()
    for path in FILES:
        found = recorded(path)
        if any(run["calibration"] is None for run in runs_of(found)):
            assert path.stem not in rows_of(table), "a threshold by hand leads no table"
            assert f"`{path.stem}` is no row" in table
            continue
        tests = [run["splits"]["test"] for run in runs_of(found)]
        quality = np.mean([row["quality"] for row in tests])
        cost = np.mean([row["mac_ratio"] for row in tests])
        statics = [
            (np.mean([row["mac_ratio"] for row in rows]), rows[0]["layer"])
            for rows in zip(*(run["static"] for run in runs_of(found)), strict=True)
            if np.mean([row["quality"] for row in rows]) >= quality
        ]
        cheapest = min(statics, default=(np.inf, 0))
        as_cheap = 0.9 * cheapest[0] <= cost
        says = f"`{path.stem}`: exits do not help, stopping everybody at layer {cheapest[1]}"
        assert (says in table) == as_cheap, path.stem


def test_parts_of_speech_need_no_exits(results):
    assert "`pos`: exits do not help, stopping everybody at layer 2" in results.table()


def test_what_is_kept_is_held_against_the_single_head_of_equal_training(results):
    rows = rows_of(results.table())
    for path in FILES:
        found = recorded(path)
        cells = rows.get(path.stem)
        if cells is None:
            continue
        equal = "single_unequal" not in found and all("single" in run for run in runs_of(found))
        assert bool(cells[2]) == bool(cells[6]) == equal, path.stem
        if equal:
            kept = [
                run["splits"]["test"]["quality"] / run["single"]["test"]["quality"]
                for run in runs_of(found)
            ]
            assert cells[6].startswith(f"{100 * np.mean(kept):.1f}")


# --- demonstrations ------------------------------------------------------------------------------

DEMOS = sorted((RESULTS / "demos").glob("*.json"))

NOT_AHEAD = dict.fromkeys(
    ("data_to_text", "summarization"),
    (
        "how_to/generation.md",
        "On those of data to text and of summarization it is not: two of their four decoder layers "
        "are as good for everybody.",
    ),
)
"""Demonstrations in which a fixed layer is as good, and where a page says so."""


@pytest.fixture
def demos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes_demos", RECIPES / "record_demos.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", DEMOS, ids=lambda p: p.stem)
def test_demonstrations_say_whether_a_fixed_layer_is_as_good_as_the_policy(path):
    found = recorded(path)
    line = frontier(
        (point["mac_ratio"], point["quality"])
        for point in found["curve"]
        if point["kind"] in ("static", "full")
    )
    engine = [point for point in found["curve"] if point["kind"] == "engine"]
    ahead = [p["quality"] - (line.at(p["mac_ratio"]) or 0.0) for p in engine]
    chosen = found["test"]
    gained = chosen["quality"] - (line.at(chosen["mac_ratio"]) or 0.0)
    if path.stem in NOT_AHEAD:
        page, told = NOT_AHEAD[path.stem]
        assert gained <= 0.002, "it is ahead now: let the page say so"
        assert told in " ".join(text(ROOT / "docs" / page).split())
        two = next(p for p in found["curve"] if p["policy"].get("depth") == 2)
        assert two["quality"] > chosen["quality"]
        assert two["mac_ratio"] <= chosen["mac_ratio"] + 0.005
        return
    assert max(ahead) > 0.002
    assert gained > 0


@pytest.mark.parametrize("path", DEMOS, ids=lambda p: p.stem)
def test_demonstrations_take_less_than_three_minutes(path):
    assert recorded(path)["seconds"] < 180


@pytest.mark.parametrize("path", DEMOS, ids=lambda p: p.stem)
def test_demonstrations_were_recorded_on_the_corpora_of_today(path, demos):
    told = f"record it anew: python recipes/record_demos.py {path.stem}"
    assert recorded(path)["corpus"] == demos.fingerprint(path.stem), told


@pytest.mark.parametrize("path", DEMOS, ids=lambda p: p.stem)
def test_examples_of_the_pages_are_answered_right_by_the_demonstrations(path, demos):
    assert recorded(path)["said"] == demos.EXAMPLES.get(path.stem, {})
