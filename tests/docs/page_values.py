"""Values in the recorded files, as ``page_sentences.py`` asks for them; shares in points of 100."""

from __future__ import annotations

import csv
import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tokenexit.guarantees import FixedSequence, parse

ROOT = Path(__file__).parents[2]


opened: set[Path] = set()
"""Files that were asked for: a page has to name those of its figures."""


def content(path: str) -> list[str]:
    """Lines of a file, by its path in the repository."""
    opened.add(ROOT / path)
    return lines(ROOT / path)


@functools.cache
def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def recorded(path: str) -> Any:
    opened.add(ROOT / path)
    return parsed(ROOT / path)


@functools.cache
def parsed(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def bench(name: str) -> Any:
    return recorded(f"benchmarks/results/{name}.json")


def recipe(name: str) -> Any:
    return recorded(f"recipes/results/{name}.json")


def clock(case: str, key: str, who: str = "") -> float:
    """Of a case of the clocks: a value of its own, or of one of those who took turns, in int8."""
    results = {one["case"]: one["result"] for one in bench("xeon_2_cores")["measured"]}
    if not who:
        return results[case][key]
    rows = [row for row in results[case]["rows"] if row["name"].startswith(who)]
    return next(row[key] for row in rows if row["precision"] == "int8")


def of_bound(precision: str) -> tuple[float, float]:
    """The least and the most of what the arithmetic allows, of the taggers with kernels."""
    found = [
        100 * clock(f"{run}, {precision}, batch {size}", "of_bound")
        for run in ("ewt", "pos")
        for size in (1, 8, 32)
    ]
    return min(found), max(found)


def two_threads(run: str) -> float:
    """How many times as fast as one thread they are, as the table of the clocks says it."""
    one, two = (
        clock(f"{run}, int8, batch 32{how}", "ms_per_text", "ours, policy")
        for how in ("", ", 2 threads")
    )
    return one / two


def waited(costs: str, batch: int, slots: int, key: str = "") -> float:
    """Of the account of rows that wait: the best by depth over full depth, or another value."""
    row = next(
        row for row in bench("waiting")[costs] if (row["batch"], row["in_flight"]) == (batch, slots)
    )
    return row[key] if key else max(row["by_depth"].values())


def quality(run: str, key: str = "quality") -> float:
    found = bench("quality")[run]["result"][key]
    return found if key == "depth_speedup" else 100 * found


def kept_at_fixed_layer(name: str, layer: int) -> float:
    found = recipe(name)
    fixed = next(row["quality"] for row in found["static"] if row["layer"] == layer)
    return 100 * fixed / found["splits"]["test"]["quality_full_depth"]


def kept_on_curve(name: str, layers: float) -> tuple[float, float]:
    """Quality kept on the test split by the setting that saves nearly so many times the layers."""
    found = recipe(name)
    curve = [p for p in found["curve"] if p["kind"] == "engine"]
    near = min(curve, key=lambda p: abs(float(p["depth_speedup"]) - layers))
    full = found["splits"]["test"]["quality_full_depth"]
    return 100 * float(near["quality"]) / full, float(near["depth_speedup"])


def split(name: str, which: str, key: str) -> float:
    return (1 if key == "depth_speedup" else 100) * recipe(name)["splits"][which][key]


def single(name: str, which: str) -> float:
    """Quality of the network with its top head alone."""
    return 100 * recipe(name)["single"][which]["quality"]


def gate(name: str, fit: str = "{}") -> Any:
    """Rungs of a fit, from the strictest."""
    return bench(f"gates/{name}_int8")["fits"][fit]["curve"]


def on_test(name: str, fit: str, fewer: float) -> tuple[float, float]:
    """Layers saved and quality kept on the test split by the rung that saves nearly so many."""
    near = min(gate(name, fit), key=lambda rung: abs(rung["test_fewer"] - fewer))
    return near["test_fewer"], 100 * near["test_kept"]


def chosen_gates(name: str = "ewt", fits: int = 3) -> list[tuple[float, float]]:
    """What the first fits save and keep on test, at 99 % of validation."""
    rungs = [
        max(
            (rung for rung in gate(name, fit) if rung["validation_kept"] >= 0.99),
            key=lambda rung: rung["validation_fewer"],
        )
        for fit in ("{}", '{"seed": 1}', '{"seed": 2}')[:fits]
    ]
    return [(rung["test_fewer"], 100 * rung["test_kept"]) for rung in rungs]


def strictest(name: str, fit: str) -> tuple[float, float]:
    """Quality kept and layers saved on validation by the strictest rung."""
    rung = gate(name, fit)[0]
    return 100 * rung["validation_kept"], rung["validation_fewer"]


def policy_within(name: str, policy: str, times: int) -> float:
    """Quality on the test split of the policy within a budget of so many times less arithmetic."""
    results = recorded(f"recipes/results/policies/{name}/compare.json")["results"]
    return 100 * results[policy]["budgets"][str(times)]["test"]["quality"]


def in_batches_of_32() -> tuple[float, float]:
    """The slowest and the fastest of the policies of both taggers, over plain transformers."""
    found = [
        run["bench"]["32"]["speedup_median"]
        for name in ("ewt", "pos")
        for run in dict(
            recorded(f"recipes/results/policies/{name}/compare.json")["results"]
        ).values()
    ]
    return min(found), max(found)


def compared(folder: str, name: str = "comparison") -> list[dict[str, str]]:
    """Rows of a table of a comparison of trainings."""
    rows = list(csv.DictReader(content(f"recipes/results/trainings/{folder}/{name}.csv")))
    return [{**row, "layer": row.get("value", "").removesuffix(".0")} for row in rows]


def trained(folder: str, method: str, key: str, seed: str = "") -> float:
    """Mean over the seeds of a comparison of trainings, or of one."""
    found = [
        float(row[key])
        for row in compared(folder)
        if row["method"] == method and seed in ("", row["seed"])
    ]
    return (1 if key.endswith("speedup") else 100) * sum(found) / len(found)


def calibrated(folder: str, method: str, seed: str, kept: str = "relative_quality") -> list[float]:
    """Layers saved and quality kept by the policy that validation chose."""
    keys = ("calibrated_depth_speedup", f"calibrated_{kept}")
    return [trained(folder, method, key, seed) for key in keys]


def stopped(folder: str, method: str, layer: int) -> float:
    """Quality on the test split where everybody stops at a layer, mean over the seeds."""
    found = [
        float(row["quality"])
        for row in compared(folder, "curves")
        if (row["method"], row["kind"], row["layer"]) == (method, "static", str(layer))
    ]
    return 100 * sum(found) / len(found)


def calibrated_e2e() -> tuple[float, float]:
    """The least and the most that calibrated policies keep."""
    rows = [row for row in compared("e2e") if row["method"] != "first_layers"]
    kept = [100 * float(row["calibrated_relative_quality"]) for row in rows]
    return min(kept), max(kept)


def both_ways(way: str, entropy: float | None, ratio: float | None = None) -> tuple[float, float]:
    """Multiply-accumulates saved and quality kept on the test split, with exits and a reducer."""
    found = bench("exits_and_reducers")
    row = next(
        row
        for row in found["ways"][way]["test"]
        if (row["entropy"], row["ratio"]) == (entropy, ratio)
    )
    return 1 / row["macs"], 100 * row["quality"] / found["full"]["test"]


def cells(*names: str) -> tuple[int, float]:
    """How many calibrations were simulated, and how often the worst broke its promise."""
    rows = [row for name in names for row in bench(name)["calibrations"]]
    return len(rows), 100 * max(row["broken"] for row in rows)


def texts_without_loss(lost: float, delta: float) -> int:
    """How many texts of which none is lost tell with so much doubt that no more are lost."""
    return math.ceil(math.log(delta) / math.log(1 - lost))


def texts_for_f1(kept: float, right: list[int]) -> int:
    """The same of entities, where texts have so many that full depth finds, by turns."""
    found = 2.0 * np.tile(right, 1000)
    full = {"f1_over": found, "f1_under": found}
    asked = parse(f"f1 kept >= {kept} with 90%")
    [count] = FixedSequence(asked, full, np.arange(len(found))).needed().values()
    assert count is not None
    return count


RUNS = [
    f"promises_of_runs/{path.stem}"
    for path in sorted((ROOT / "benchmarks" / "results" / "promises_of_runs").glob("*.json"))
]


def found_after(before: float, after: float) -> float:
    changes = bench("audits")["simulated"]["changes"]
    return next(
        one["found_after"] for one in changes if (one["before"], one["after"]) == (before, after)
    )
