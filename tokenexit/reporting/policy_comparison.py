"""A comparison of policies on one model, as a table with its protocol and as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenexit.files import write_csv, write_text
from tokenexit.wording.naming import NOTHING, capital, fixed, metric_name, percent, times

_NUMBERS = ("quality", "relative_quality", "depth_speedup", "mac_ratio")
_COLUMNS = ("name", *_NUMBERS, "kept_on_validation", "policy", "error")

_NOTES = """\
*Kept* is quality on the test split over that of full depth, *on validation* the same where the
setting was chosen. *Layers* are layers saved, *multiply-adds* those of the plain model on real
tokens, confidence and heads included.{budgets}{clock}
"""
_BUDGETS = """ *Within 1/k*: of the settings that spend at most
1/k of the plain model's multiply-adds on the validation texts, that of the best quality there: its
quality on the test split, and what it spends there."""
_CLOCK = """ *Clock* is the time of the plain transformers model over
ours at a batch size, median of the passes (10th to 90th percentile)."""
_ORDER = " Sorted by the clock at batch size 1."


def write_policies(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write ``compare.md`` and ``compare.csv``.

    Args:
        folder: Where they go.
        content: ``compare.json``: ``config`` and ``results`` by name of the family.

    Returns:
        The Markdown file.
    """
    rows = sorted((_row(name, found) for name, found in content["results"].items()), key=_rank)
    names = [*dict.fromkeys([*_COLUMNS, *(key for row in rows for key in row)])]
    write_csv(folder / "compare.csv", names, rows)
    path = folder / "compare.md"
    parts = ["# Policies on one model\n", _protocol(content), policies_table(content)]
    write_text(path, "\n".join([*parts, _notes(content["results"], rows)]))
    return path


def _notes(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    timed = any(found.get("bench") for found in results.values())
    order = _ORDER if any("clock_1" in row for row in rows) else ""
    budgets = _BUDGETS if _speedups(results) else ""
    return _NOTES.format(budgets=budgets, clock=_CLOCK + order if timed else "")


def policies_table(content: Mapping[str, Any]) -> str:
    """The table alone, in Markdown."""
    results = content["results"]
    rows = sorted((_row(name, found) for name, found in results.items()), key=_rank)
    sizes = sorted({int(size) for found in results.values() for size in found.get("bench", {})})
    metric = metric_name(_metric(results))
    heads = ["Policy", capital(metric), "Kept", "On validation", "Layers", "Multiply-adds"]
    speedups = _speedups(results)
    heads += [f"Within 1/{speedup}" for speedup in speedups]
    heads += [f"Clock, batch {size}" for size in sizes]
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)]]
    for row in rows:
        if "error" in row:
            lines.append([f"`{row['name']}`", row["error"], *[""] * (len(heads) - 2)])
            continue
        kept = [percent(row["relative_quality"]), percent(row["kept_on_validation"])]
        cost = [times(row["depth_speedup"]), fixed(row["mac_ratio"], 2)]
        clocks = [_clock(results[row["name"]]["bench"].get(str(size))) for size in sizes]
        quality = fixed(100 * row["quality"], 1)
        budgets = [_within(results[row["name"]], speedup) for speedup in speedups]
        lines.append([f"`{row['name']}`", quality, *kept, *cost, *budgets, *clocks])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _row(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in found:
        return {"name": name, "error": found["error"]}
    return {
        "name": name,
        **{key: found["test"][key] for key in _NUMBERS},
        "kept_on_validation": found["validation"]["relative_quality"],
        "policy": json.dumps(found["policy"]),
        **{
            f"{key}_within_{speedup}x": one["test"][key]
            for speedup, one in found.get("budgets", {}).items()
            for key in ("quality", "mac_ratio")
            if one
        },
        **{
            f"clock_{size}{end}": timed[f"speedup_{which}"]
            for size, timed in found["bench"].items()
            for end, which in (("", "median"), ("_p10", "p10"), ("_p90", "p90"))
        },
    }


def _rank(row: Mapping[str, Any]) -> tuple[bool, float]:
    clock = row.get("clock_1", row.get("depth_speedup", 0.0))
    return "error" in row, -float(clock)


def _metric(results: Mapping[str, Any]) -> str:
    told = [found["test"]["metric"] for found in results.values() if "test" in found]
    return str(told[0]) if told else "quality"


def _protocol(content: Mapping[str, Any]) -> str:
    config = content["config"]
    chosen = [
        r["validation"].get("n_sentences") for r in content["results"].values() if "test" in r
    ]
    texts = f"{chosen[0]} validation texts" if chosen and chosen[0] else "the validation split"
    return (
        f"Model `{config['run']}`, data `{config['data']}`. Nothing was trained: each policy was "
        f"set on {texts} to keep {percent(config['min_quality'], 0)} of full-depth quality there "
        "(a target, no promise), and measured on the test split.\n"
    )


def _speedups(results: Mapping[str, Any]) -> list[str]:
    """Budgets that were asked for, the largest first."""
    return sorted(
        {key for found in results.values() for key in found.get("budgets", {})}, key=float
    )


def _within(found: Mapping[str, Any], speedup: str) -> str:
    one = found["budgets"].get(speedup)
    if not one:
        return NOTHING
    return f"{fixed(100 * one['test']['quality'], 1)} ({fixed(one['test']['mac_ratio'], 2)})"


def _clock(timed: Mapping[str, Any] | None) -> str:
    if timed is None:
        return ""
    spread = f"{fixed(timed['speedup_p10'], 2)}\N{EN DASH}{fixed(timed['speedup_p90'], 2)}"
    return f"{times(timed['speedup_median'])} ({spread})"
