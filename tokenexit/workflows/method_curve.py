"""What is measured of a finished run: its whole curve, the cost of asking, the clock."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenexit.evaluation.curve import point
from tokenexit.files import write_json
from tokenexit.policies import Policy, from_config
from tokenexit.policies.all_of import AllOf
from tokenexit.policies.assigned_depth import MAX_DEPTH, AssignedDepth
from tokenexit.policies.never import Never
from tokenexit.reporting.comparison import STATIC
from tokenexit.workflows.commands import Commands, open_model
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.method_runs import MethodRun
from tokenexit.workflows.method_sweep import next_setting
from tokenexit.workflows.recipes import Measure
from tokenexit.workflows.reducer_curve import (
    dial_of,
    reduced_by,
    reducer_settings,
    reducer_text,
    sweep_reducer,
)
from tokenexit.workflows.same_run import read_record

STORE = "measured.json"

FEW = 64
"""Texts on which costs are measured that hardly vary between texts."""

TIMED = (2.0, 3.0)
"""Savings of multiply-accumulates near which a setting is timed, beside the calibrated one."""

_UNKNOWN = {"split": "", "quality_full_depth": 1.0}
"""Of texts that only costs are measured on."""

_NUMBERS = ("quality", "relative_quality", "mean_exit_layer", "depth_speedup", "mac_ratio")


def measure(
    run: MethodRun, config: CompareMethodsConfig, splits: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure a finished run on its test split; what is on disk already is not done again.

    Args:
        run: The run.
        config: The comparison.
        splits: Its data.

    Returns:
        ``points`` as in ``pareto.csv``, those of a reducer's settings with ``reducer``, each with
        its quality and its multiply-accumulates on the validation split, by which a setting can be
        chosen; ``reduced``, whether the trade-off is a reducer's; ``calibrated``, the result of the
        calibrated policy; ``guess``, quality of the commonest class; ``num_layers`` and
        ``plain_macs`` of the network that costs are relative to; ``uniform_depth``, whether depth
        is counted in its layers; ``overhead``, None without a policy; ``clock``, None where it was
        not asked for.
    """
    store = run.folder / STORE
    found = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else {}
    metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    chosen_on, *_, name = metrics["splits"]
    calibrated, split = metrics["splits"][name], splits[name]
    opened = open_model(str(run.folder))
    model, recipe = opened.model, config.trains(run.config)
    if "points" not in found:
        found |= {
            "points": _saved_points(run.folder),
            "calibrated": calibrated,
            "guess": recipe.guess(splits["train"], split, calibrated["metric"]),
            **asdict(recipe.whole(model, split.head(FEW))),
        }
    family = _family(run, calibrated)
    found["reduced"] = family is None and dial_of(model) is not None
    if family is not None:
        run_one = recipe.measuring(model, split, calibrated, config.batch_size)
        _sweep(run.folder, run_one, family, found, config.settings)
    elif (reducer := dial_of(model)) is not None:
        run_one = recipe.measuring(model, split, calibrated, config.batch_size)
        settings = reducer_settings(run.folder, reducer, config.settings)
        for _ in sweep_reducer(model, settings, run_one, found):
            write_json(store, found)
    if chosen_on != name:
        known, texts = metrics["splits"][chosen_on], splits[chosen_on]
        run_there = recipe.measuring(model, texts, known, config.batch_size)
        _on_validation(run, model, run_there, known["quality_full_depth"], found)
    if "overhead" not in found:
        run_few = recipe.measuring(model, split.head(FEW), _UNKNOWN, config.batch_size)
        found["overhead"] = None if family is None else _overhead(run_few, family)
    if config.clock and found.get("clock") is None:
        found["clock"] = _clock(opened, split, found["points"], calibrated, config)
    found.setdefault("clock", None)
    write_json(store, found)
    return found


def _saved_points(folder: Path) -> list[dict[str, Any]]:
    with (folder / "pareto.csv").open(encoding="utf-8", newline="") as file:
        return [
            {
                **{key: row[key] for key in ("kind", "policy", "family", "split")},
                **{key: float(row[key]) for key in _NUMBERS},
                "value": float(row["value"]) if row["value"] else None,
            }
            for row in csv.DictReader(file)
        ]


def _family(run: MethodRun, calibrated: Mapping[str, Any]) -> Policy | None:
    """Whose threshold is turned: the family that was chosen, else the first that was tried."""
    tried = [*run.config.calibrate.policies, *(one["policy"] for one in _candidates(run.folder))]
    families = map(from_config, [calibrated["policy"], *tried])
    return next((family for family in families if family.threshold_spec() is not None), None)


def _candidates(folder: Path) -> list[dict[str, Any]]:
    """Settings that a calibration has tried; none if there was nothing to calibrate."""
    path = folder / "calibration.json"
    return read_record(path)["candidates"] if path.is_file() else []


def _sweep(
    folder: Path, run_one: Measure, family: Policy, found: dict[str, Any], count: int
) -> None:
    """Run settings until the curve has no wide gap; each is on disk before the next."""
    candidates = _candidates(folder)
    while True:
        value = next_setting(family, found["points"], candidates, count)
        if value is None:
            return
        policy = family.with_threshold(value)
        found["points"].append(asdict(point("engine", policy, value, run_one(policy))))
        write_json(folder / STORE, found)


def _on_validation(
    run: MethodRun, model: Any, run_one: Measure, full_depth: float, found: dict[str, Any]
) -> None:
    """Run the curve's settings on the validation split, too; each is on disk before the next."""
    kinds = {"engine", "static"} if run.method == STATIC else {"engine"}
    for one in found["points"]:
        if "validation_quality" in one:
            continue
        if one["kind"] == "full":
            quality, cost = full_depth, one["mac_ratio"]
        elif one["kind"] in kinds:
            with reduced_by(model, one.get("reducer")):
                result = run_one(from_config(json.loads(one["policy"])))
            quality, cost = result.quality, result.mac_ratio
        else:
            continue
        one |= {"validation_quality": quality, "validation_mac_ratio": cost}
        write_json(run.folder / STORE, found)


def _overhead(run_one: Measure, family: Policy) -> float:
    """Multiply-accumulates of asking at every exit when nobody leaves, over the plain model's."""
    asked = AllOf((family, AssignedDepth(MAX_DEPTH)))
    return run_one(asked).mac_ratio - run_one(Never()).mac_ratio


def _clock(
    opened: Commands,
    split: Any,
    points: Sequence[Mapping[str, Any]],
    calibrated: Mapping[str, Any],
    config: CompareMethodsConfig,
) -> list[dict[str, Any]]:
    """Time the calibrated policy, and the settings nearest to savings of ``TIMED``."""
    engine = [p for p in points if p["kind"] == "engine"]
    chosen = json.dumps(calibrated["policy"], sort_keys=True), _reducer_of(opened.model)
    settings = {chosen: "calibrated"}
    for speed in TIMED if engine else ():
        near = min(engine, key=lambda p: abs(p["mac_ratio"] - 1 / speed))
        text = json.dumps(json.loads(near["policy"]), sort_keys=True)
        settings.setdefault((text, near.get("reducer", chosen[1])), f"near {speed:g}x")
    few = split.sample(config.clock_texts)
    options: dict[str, Any] = {"batch_size": config.clock_batch, "repeats": config.repeats}
    timed = []
    for (text, reducer), label in settings.items():
        with reduced_by(opened.model, reducer):
            found = opened.bench(few, None, from_config(json.loads(text)), **options)
        timed.append({"setting": label, **found.to_json()})
    return timed


def _reducer_of(model: Any) -> str | None:
    """The reducer or widths of a model as points name them; None where it has neither."""
    reducer = dial_of(model)
    return None if reducer is None else reducer_text(reducer)
