"""Figures in tables of the longer pages are those that recipes and benchmarks recorded."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCS, TRAININGS = ROOT / "docs", ROOT / "recipes" / "results" / "trainings"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="docs/ is not installed")

PERCENT = {
    "full depth": "full_depth",
    "at 2x": "quality_2x_macs",
    "at 3x": "quality_3x_macs",
    "area": "area",
    "calibrated": "calibrated_quality",
    "calibrated to 99 %": "calibrated_quality",
    "asking costs": "overhead",
    "at 1.5x fewer layers": "quality_1.5x_layers",
}
TIMES = {"layers": "calibrated_depth_speedup"}
GENERATED = {"at 2x": "quality_2x_layers"}
"""Where a text generator is compared by layers."""


def tables(text: str) -> Iterator[dict[str, str]]:
    """Rows of all tables, by column."""
    head: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells
        elif set(line) - set("|:- "):
            yield dict(zip(head, cells, strict=True))


def told_wrongly(row: dict[str, str], runs: list[dict[str, str]], generated: bool) -> list[str]:
    """Cells of a row that are no mean of its runs, with half of their distance behind it."""
    wrong = []
    for column, cell in row.items():
        key = (GENERATED if generated and column in GENERATED else PERCENT | TIMES).get(column)
        if key is None or cell in ("", "–"):
            continue
        found = [float(run[key]) * (1 if column in TIMES else 100) for run in runs if run[key]]
        told = re.findall(r"[\d.]+", cell)
        wanted = [sum(found) / len(found), abs(found[0] - found[-1]) / 2]
        for text, value in zip(told, wanted, strict=False):
            if abs(float(text) - value) > 0.5001 * 10.0 ** -len(text.partition(".")[2]):
                wrong.append(f"{column}: {cell} for {value}")
    return wrong


def test_trainings_are_those_of_their_comparisons():
    checked = 0
    for section in (DOCS / "trainings.md").read_text(encoding="utf-8").split("\n## "):
        names = dict.fromkeys(re.findall(r"results/trainings/(\w+)/", section))
        runs = [
            row
            for name in names
            for row in csv.DictReader((TRAININGS / name / "comparison.csv").open(encoding="utf-8"))
        ]
        for row in tables(section) if runs else ():
            name = re.findall(r"`([^`]+)`", row.get("training", ""))
            if not name:
                continue
            own = [
                run
                for run in runs
                if run["method"] in (name[0], f"linear+{name[0]}")
                and run["seed"] == row.get("seed", run["seed"])
            ]
            assert own, f"{name[0]} is in none of {list(names)}"
            assert not told_wrongly(row, own, "e2e" in names), name[0]
            told = [row[f"exit {layer}"] for layer in range(1, 6) if "exit 1" in row]
            assert [cell for cell in told if cell != "–"] == stopped(names, name[0], row)
            checked += 1
    assert checked > 25


def stopped(names: Iterable[str], method: str, row: dict[str, str]) -> list[str]:
    """Quality on the test split where everybody stops at a layer, of a row that says so."""
    if "exit 1" not in row:
        return []
    return [
        f"{100 * float(point['quality']):.1f}"
        for name in names
        for point in csv.DictReader((TRAININGS / name / "curves.csv").open(encoding="utf-8"))
        if (point["method"], point["seed"], point["kind"]) == (method, row["seed"], "static")
    ]


def loaded(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A script of benchmarks/, with its neighbours."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location(
        f"docs_{name}", ROOT / "benchmarks" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_rows_that_wait_are_those_of_the_account(monkeypatch):
    found = json.loads((ROOT / "benchmarks" / "results" / "waiting.json").read_text())
    wanted = loaded(monkeypatch, "waiting").table(found)
    page = (DOCS / "batching_by_depth.md").read_text(encoding="utf-8")
    assert f"<!-- waiting -->\n{wanted}\n<!-- /waiting -->" in page


def test_the_clock_of_trainings_is_that_of_its_file(monkeypatch):
    found = json.loads((ROOT / "benchmarks" / "results" / "trainings_clock.json").read_text())
    wanted = loaded(monkeypatch, "trainings_clock").table(found["measured"])
    page = (DOCS / "trainings.md").read_text(encoding="utf-8")
    assert f"<!-- clock -->\n{wanted}\n<!-- /clock -->" in page


@pytest.mark.slow
def test_the_account_comes_out_the_same_again(monkeypatch):
    found = json.loads((ROOT / "benchmarks" / "results" / "waiting.json").read_text())
    assert json.loads(json.dumps(loaded(monkeypatch, "waiting").account())) == found


def test_reducers_are_those_of_their_files(monkeypatch):
    text, results = (DOCS / "reducers.md").read_text("utf-8"), ROOT / "benchmarks" / "results"
    both = json.loads((results / "exits_and_reducers.json").read_text())
    lines = loaded(monkeypatch, "exits_and_reducers").table(both, (1.0, 0.99, 0.97, 0.95))
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 14
    assert "\n".join(rows) in text
    script = loaded(monkeypatch, "long_texts")
    easier = json.loads((results / "long_texts_sources.json").read_text())["measured"]
    assert f"<!-- sources -->\n{script.table(easier)}\n<!-- /sources -->" in text
    long = json.loads((results / "long_texts.json").read_text())["measured"]
    for row in tables(script.table(long)):
        told = next(line for line in text.splitlines() if line.startswith(f"| `{row['system']}("))
        *figures, _ = list(row.values())[2:]
        assert " | ".join(figures) in told


POLICIES = {
    "2.99x": ("e2e", "every_kth(margin)", "bench", "1", "speedup_median"),
    "1.80x": ("e2e", "every_kth(margin)", "bench", "32", "speedup_median"),
    "98.2 %": ("e2e", "every_kth(margin)", "test", "relative_quality"),
    "2.30x": ("e2e", "margin", "test", "depth_speedup"),
    "2.07x": ("e2e", "every_kth(margin)", "test", "depth_speedup"),
    "2.56x": ("e2e", "margin", "bench", "1", "speedup_median"),
    "1.56x": ("e2e", "margin", "bench", "32", "speedup_median"),
    "2.91x": ("ewt", "margin", "test", "depth_speedup"),
    "99.0 %": ("ewt", "margin", "test", "relative_quality"),
    "2.31x": ("ewt", "entropy", "test", "depth_speedup"),
    "2.76x": ("ewt", "every_kth(margin)", "bench", "1", "speedup_median"),
    "1.57x": ("ewt", "margin", "bench", "1", "speedup_median"),
    "97.0 %": ("ewt", "every_kth(margin)", "test", "relative_quality"),
    "1.87x": ("ewt", "window(entropy)", "bench", "1", "speedup_median"),
    "4.34x": ("pos", "margin", "test", "depth_speedup"),
    "4.07x": ("pos", "entropy", "test", "depth_speedup"),
    "3.16x": ("pos", "assigned_depth", "bench", "1", "speedup_median"),
}
"""What docs/policies_compared.md says, and where it stands in the comparisons."""


def test_policies_are_those_of_their_comparisons():
    text = (DOCS / "policies_compared.md").read_text(encoding="utf-8")
    for told, (name, policy, *path) in POLICIES.items():
        path_of = ROOT / "recipes" / "results" / "policies" / name / "compare.json"
        value = dict(json.loads(path_of.read_text())["results"])[policy]
        for step in path:
            value = value[step]
        wanted = f"{100 * value:.1f} %" if told.endswith("%") else f"{value:.2f}x"
        assert (told, wanted) == (wanted, told), f"{name} {policy} {path}"
        assert told in text
    assert set(re.findall(r"\d+\.\d\dx|\d+\.\d %", text)) == POLICIES.keys()


def test_gates_are_those_of_their_curves():
    quality = json.loads((ROOT / "benchmarks" / "results" / "quality.json").read_text())
    served = quality["pos"]["result"]
    known = {(f"{100 * served['relative_quality']:.1f}", f"{served['depth_speedup']:.2f}")}
    costs = set()
    for path in (ROOT / "benchmarks" / "results" / "gates").glob("*.json"):
        for fit in json.loads(path.read_text(encoding="utf-8"))["fits"].values():
            costs.add(f"{fit['macs']:,}")
            for rung in fit["curve"]:
                for split in ("validation", "test"):
                    share, fewer = rung[f"{split}_kept"], rung[f"{split}_fewer"]
                    known.add((f"{100 * share:.1f}", f"{fewer:.2f}"))
    text = (DOCS / "context_gates.md").read_text(encoding="utf-8")
    told = set(re.findall(r"(\d+\.\d) % at (\d+\.\d\d)x", text))
    told |= {
        (share, fewer) for fewer, share in re.findall(r"(\d+\.\d\d)x (?:at )?(\d+\.\d) %", text)
    }
    assert len(told) > 60
    assert told <= known
    assert {row["cost"] for row in tables(text) if "cost" in row} <= costs
