"""Curves that cost several trainings: one for each value of a setting that is learned with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Run = Mapping[str, Any]


def pooled(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Runs that draw one curve as one run, which says how many trainings it cost.

    A run names in ``curve`` the method or training whose curve its points belong to. Where that
    was not measured, the first of those that name it stands for all.

    Args:
        runs: By name, without those that failed.
    """
    found: dict[str, Run] = {}
    whole: dict[tuple[str, int], str] = {}
    for name, run in sorted(runs.items(), key=lambda one: bool(one[1].get("curve"))):
        curve = run.get("curve") or run["method"], run["seed"]
        if not run.get("curve") or curve not in whole:
            whole.setdefault(curve, name)
            found[name] = {**run, "method": curve[0], "trainings": 1}
            continue
        first = found[whole[curve]]
        found[whole[curve]] = {
            **first,
            "points": [*first["points"], *run["points"]],
            "trainings": first["trainings"] + 1,
        }
    return {name: found[name] for name in runs if name in found}
