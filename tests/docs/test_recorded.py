"""Figures in tables of the longer pages are those that recipes and benchmarks recorded."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

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

NOT_KEPT = {("99.2", "4.77"), ("96.6", "2.38"), ("99.4", "2.74")}
"""Pairs of docs/context_gates.md of which no file was kept: `tokenexit calibrate` of three fits,
and the gate of a generator."""


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
            checked += 1
    assert checked > 25


def test_gates_are_those_of_their_curves():
    kept = json.loads((ROOT / "recipes/results/e2e.json").read_text())["splits"]["test"]
    known = {(f"{100 * kept['relative_quality']:.1f}", f"{kept['depth_speedup']:.2f}")}
    for path in (ROOT / "benchmarks" / "results" / "gates").glob("*.json"):
        for fit in json.loads(path.read_text(encoding="utf-8"))["fits"].values():
            for rung in fit["curve"]:
                for split in ("validation", "test"):
                    share, fewer = rung[f"{split}_kept"], rung[f"{split}_fewer"]
                    known.add((f"{100 * share:.1f}", f"{fewer:.2f}"))
    text = (DOCS / "context_gates.md").read_text(encoding="utf-8")
    told = set(re.findall(r"(\d+\.\d) % at (\d+\.\d\d)x", text))
    told |= {(share, fewer) for fewer, share in re.findall(r"(\d+\.\d\d)x (\d+\.\d) %", text)}
    assert len(told) > 60
    assert told - known <= NOT_KEPT
