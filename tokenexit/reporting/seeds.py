"""Runs that differ in their seed alone: what each gave, mean and spread."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.errors import UserError, printable
from tokenexit.reporting.result import read_result
from tokenexit.wording.held_to import held_to_sentence
from tokenexit.wording.naming import capital, fixed, metric_name, percent, score, times

SEEDS = "seeds.json"
FIGURES = ("quality", "quality_full_depth", "relative_quality", "depth_speedup", "mac_ratio")
"""What is averaged, by its name in ``metrics.json``."""


def summary(record: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Mean and spread of each figure over the seeds that came to an end, by split.

    Args:
        record: What ``seeds.json`` holds.

    Returns:
        ``n``, ``mean``, ``sd`` (None for one seed alone), ``min`` and ``max`` of each figure.
    """
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for split, rows in _by_split(record).items():
        for figure in FIGURES:
            values = [row[figure] for row in rows.values() if row.get(figure) is not None]
            if values:
                found.setdefault(split, {})[figure] = _spread(values)
    return found


def seeds_table(record: Mapping[str, Any]) -> list[list[str]]:
    """A header, a row a split and seed, and mean and spread of each split.

    Args:
        record: What ``seeds.json`` holds.

    Raises:
        UserError: It is not what ``seeds=`` writes.
    """
    table: list[list[str]] = []
    for split, rows in _by_split(record).items():
        results = {seed: read_result(row, f"seed {seed}") for seed, row in rows.items()}
        metric = next(iter(results.values())).metric
        if not table:
            names = ("split", "seed", metric_name(metric), "full depth", "kept", "fewer layers")
            table.append([*map(capital, names), "MACs"])
        for seed, r in results.items():
            figures = [getattr(r, figure) for figure in FIGURES]
            table.append([split, seed, *_cells(figures, metric)])
        spread = (record.get("summary") or {}).get(split) or {}
        for name, key in (("mean", "mean"), ("sd", "sd"), ("lowest", "min"), ("highest", "max")):
            figures = [(spread.get(figure) or {}).get(key) for figure in FIGURES]
            table.append([split, name, *_cells(figures, metric, digits=2)])
    return table


def seeds_note(record: Mapping[str, Any]) -> str:
    """In which precisions was measured, where there are two."""
    splits = _by_split(record).values()
    return held_to_sentence([row for split in splits for row in split.values()])


def failures(record: Mapping[str, Any]) -> dict[str, str]:
    """Seeds that failed, and why."""
    runs = record.get("seeds") or {}
    return {seed: str(run["error"]) for seed, run in runs.items() if "error" in run}


def seeds_text(record: Mapping[str, Any]) -> str:
    """The same for a terminal.

    Args:
        record: What ``seeds.json`` holds.
    """
    table = seeds_table(record)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    lines += [note] if (note := seeds_note(record)) else []
    lines += [f"seed {seed} failed: {printable(why)}" for seed, why in failures(record).items()]
    return "\n".join(lines)


def _by_split(record: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    runs = record.get("seeds")
    if not isinstance(runs, Mapping) or not all(isinstance(r, Mapping) for r in runs.values()):
        raise UserError(f"{SEEDS} should name runs by their seed. Run the recipe again.")
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for seed, run in runs.items():
        for split, row in (run.get("splits") or {}).items():
            found.setdefault(split, {})[str(seed)] = row
    return found


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "n": len(values),
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "min": min(values),
        "max": max(values),
    }


def _cells(figures: Sequence[float | None], metric: str, digits: int = 1) -> list[str]:
    quality, full, kept, saved, macs = figures
    return [
        score(quality, metric),
        score(full, metric),
        percent(kept, digits),
        times(saved),
        fixed(macs),
    ]
