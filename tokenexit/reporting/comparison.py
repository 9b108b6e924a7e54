"""A comparison of methods in figures: one row a method and seed, and means over seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tokenexit.evaluation.elue import elue_score
from tokenexit.evaluation.frontier import (
    SPEEDS,
    Frontier,
    at_speeds,
    fastest_keeping,
    frontier,
)
from tokenexit.reporting.comparison_curves import pooled

FINE_TUNING, STATIC = "single", "first_layers"
"""Methods that all are compared with: the top alone, and everybody stopped at one layer."""

KEPT, SAVED = 0.99, 1.5
"""Share of full-depth quality, and saving of layers, at which a method counts as worth it."""

CHOSEN = "chosen_2x"
"""By which figure methods are ranked: see ``chosen``."""

Run = Mapping[str, Any]


def points_of(run: Run) -> list[dict[str, Any]]:
    """Settings of a run's own policy, and full depth, where it need not be asked."""
    kinds = ("engine", "full", "static") if run["method"] == STATIC else ("engine", "full")
    return [point for point in run["points"] if point["kind"] in kinds]


def frontier_of(run: Run) -> Frontier:
    """Quality against multiply-accumulates."""
    return frontier((p["mac_ratio"], p["quality"]) for p in points_of(run))


def measured(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Runs that did not fail, their costs relative to the whole encoder.

    A run knows its own network only, which may be a part of it; fine-tuning alone has the whole.
    Runs of one curve are one.
    """
    done = {name: run for name, run in runs.items() if "error" not in run}
    whole = {run["seed"]: run for run in done.values() if run["method"] == FINE_TUNING}
    return pooled({name: _relative(run, whole.get(run["seed"], run)) for name, run in done.items()})


def _relative(run: Run, whole: Run) -> Run:
    share = run["plain_macs"] / whole["plain_macs"]

    def scaled(point: Mapping[str, Any]) -> dict[str, Any]:
        cost = point["mac_ratio"] * share
        # Models of a cascade are no layers: there the work saved stands for the layers saved.
        saved = whole["num_layers"] / point["mean_exit_layer"] if run["uniform_depth"] else 1 / cost
        scaled = {**point, "mac_ratio": cost, "depth_speedup": saved}
        if "validation_mac_ratio" in point:
            scaled["validation_mac_ratio"] = point["validation_mac_ratio"] * share
        return scaled

    return {
        **run,
        "points": [scaled(point) for point in run["points"]],
        "calibrated": scaled(run["calibrated"]),
        "overhead": None if run["overhead"] is None else run["overhead"] * share,
        # Timed against its own plain network.
        "clock": run["clock"] if run["num_layers"] == whole["num_layers"] else None,
    }


def summaries(
    runs: Mapping[str, Run], reference: Sequence[Sequence[float]] = ()
) -> list[dict[str, Any]]:
    """One row a run, ranked; what failed last.

    Args:
        runs: As ``comparison.json`` holds them.
        reference: Points ``(cost, quality)`` that the ELUE score is against, in the place of the
            static baseline.
    """
    told = frontier((cost, quality) for cost, quality in reference) if reference else None
    rows = [_failed(name, run) for name, run in runs.items() if "error" in run]
    done = measured(runs)
    by_method = {(run["method"], run["seed"]): run for run in done.values()}
    for name, run in done.items():
        single, static = (by_method.get((m, run["seed"])) for m in (FINE_TUNING, STATIC))
        rows.append(_row(name, run, single, told or _reference(static)))
    return sorted(rows, key=lambda row: ("error" in row, *_rank(row.get(CHOSEN), row.get("area"))))


def _rank(chosen: float | None, area: float | None) -> tuple[bool, float, float]:
    """The best at 2x first; what does not reach it last, by area."""
    return chosen is None, -(chosen or 0.0), -(area or 0.0)


def chosen(points: Iterable[Mapping[str, Any]], speed: float) -> Mapping[str, Any] | None:
    """The setting that somebody without the test split would take.

    Of those that save so many times multiply-accumulates on the validation split, the best there,
    of equals the cheapest.

    Returns:
        Its point, whose ``quality`` is that of the test split; None where none saves so much.
    """
    known = [p for p in points if p.get("validation_mac_ratio", math.inf) <= 1 / speed + 1e-9]
    return min(
        known, key=lambda p: (-p["validation_quality"], p["validation_mac_ratio"]), default=None
    )


def _failed(name: str, run: Run) -> dict[str, Any]:
    return {"name": name, **{key: run[key] for key in ("method", "seed", "paper", "error")}}


def _row(name: str, run: Run, single: Run | None, beside: Frontier | None) -> dict[str, Any]:
    points, found, calibrated = points_of(run), frontier_of(run), run["calibrated"]
    full = calibrated["quality_full_depth"]
    by_layers = frontier((1 / p["depth_speedup"], p["quality"]) for p in points)
    # What stands at full depth alone has that one setting.
    settings = [p for p in points if p["kind"] != "full"] or points
    pairs = [(p["mac_ratio"], p["quality"]) for p in settings]
    alone = single["calibrated"]["quality_full_depth"] if single else None
    # A part of the encoder, and one that reads a part of the rows, has to keep that of the whole.
    part = single is not None and single["num_layers"] != run["num_layers"]
    part = part or bool(run.get("reduced"))
    whole = alone if alone is not None and part else full
    kept = fastest_keeping(((p["depth_speedup"], p["quality"]) for p in points), KEPT * whole)
    return {
        "name": name,
        "method": run["method"],
        "seed": run["seed"],
        "paper": run["paper"],
        "trained_by": run["trained_by"],
        "metric": calibrated["metric"],
        "settings": len(settings),
        "trainings": run["trainings"],
        "full_depth": full,
        "against_single": full - alone if alone is not None else None,
        **_chosen(points),
        **{f"quality_{speed}x_macs": q for speed, q in at_speeds(found).items()},
        **{f"quality_{speed}x_layers": q for speed, q in at_speeds(by_layers).items()},
        "area": found.area(guess=run["guess"]),
        "elue": elue_score(pairs, beside) if beside else None,
        "overhead": run["overhead"],
        "layers_saved_at_99": kept,
        "kept_99_at_1.5x": kept is not None and kept >= SAVED,
        **{
            f"calibrated_{key}": calibrated[key]
            for key in ("quality", "relative_quality", "depth_speedup", "mac_ratio")
        },
        "calibrated_policy": json.dumps(calibrated["policy"]),
        "calibrated_of_single": calibrated["quality"] / alone if alone else None,
        "calibrated_kept_99_at_1.5x": calibrated["quality"] >= KEPT * whole
        and calibrated["depth_speedup"] >= SAVED,
        **_clock(run["clock"]),
    }


def _chosen(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for speed in SPEEDS:
        point = chosen(points, speed)
        found[f"chosen_{speed:g}x"] = None if point is None else point["quality"]
        found[f"chosen_{speed:g}x_macs"] = None if point is None else point["mac_ratio"]
    return found


def _reference(static: Run | None) -> Frontier | None:
    """The baseline for the ELUE score; below its first layer it falls to a guess at no cost."""
    if static is None:
        return None
    free = (0.0, static["guess"])
    return frontier([free, *((p["mac_ratio"], p["quality"]) for p in points_of(static))])


def _clock(timed: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """The calibrated policy's time ratio with its spread, and the best of those timed."""
    if not timed:
        return {}
    keys = ("speedup_median", "speedup_p10", "speedup_p90")
    own = next(one for one in timed if one["setting"] == "calibrated")
    return {
        **{key.replace("speedup", "clock"): own[key] for key in keys},
        "clock_best": max(one["speedup_median"] for one in timed),
    }


def means(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a method over its seeds, ranked as ``summaries``.

    Returns:
        For each number ``(mean, standard deviation)``, the deviation None for one seed; None
        where a seed has no value, as where one did not reach a saving.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if "error" not in row:
            groups.setdefault(row["method"], []).append(row)
    found = []
    for method, group in groups.items():
        entry: dict[str, Any] = {"method": method, "paper": group[0]["paper"], "seeds": len(group)}
        for key in dict.fromkeys(key for row in group for key in row):
            values = [row.get(key) for row in group]
            if key in entry or any(isinstance(v, str | bool) for v in values):
                continue
            known = [float(v) for v in values if v is not None]
            whole = len(known) == len(group)
            spread = float(np.std(known, ddof=1)) if whole and len(known) > 1 else None
            entry[key] = (float(np.mean(known)), spread) if whole else None
        entry["kept_99_at_1.5x"] = sum(bool(row["kept_99_at_1.5x"]) for row in group)
        found.append(entry)
    return sorted(found, key=lambda e: _rank(*((e.get(k) or (None,))[0] for k in (CHOSEN, "area"))))


def suggested(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any] | None, bool]:
    """Of the means, what saves most layers where its setting was chosen on validation.

    Returns:
        It, and whether it keeps ``KEPT`` of the quality of fine-tuning alone; where none does, the
        one that keeps most. What was run with fewer seeds than others takes no part. None without
        anything to compare.
    """
    known = [
        entry
        for entry in means(rows)
        if entry["method"] not in (FINE_TUNING, STATIC) and entry.get("calibrated_of_single")
    ]
    most = max((entry["seeds"] for entry in known), default=0)
    known = [entry for entry in known if entry["seeds"] == most]
    enough = [entry for entry in known if entry["calibrated_of_single"][0] >= KEPT]
    if enough:
        return max(enough, key=lambda entry: entry["calibrated_depth_speedup"][0]), True
    return max(known, key=lambda entry: entry["calibrated_of_single"][0], default=None), False
