"""A calibration in a few lines for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenexit.promises.sentences import promise_sentences
from tokenexit.wording.clock import chosen_ms
from tokenexit.wording.held_to import full_depth, reference_of, within
from tokenexit.wording.naming import metric_name, milliseconds, score


def calibration_text(calibration: Mapping[str, Any]) -> str:
    """What was chosen, what it gives on the texts it was chosen on, and what that says.

    Args:
        calibration: As ``calibration.json`` holds it.
    """
    best = calibration["chosen"]
    metric, full = str(best["metric"]), calibration["quality_full_depth"]
    lines = {
        "policy": json.dumps(calibration["policy"]),
        "quality kept": f"{best['relative_quality']:.2%}{within(best)} of {metric_name(metric)} "
        f"{score(full, metric)}" + (f" at {full_depth(best)}" if reference_of(best) else ""),
        "layers saved": f"{best['depth_speedup']:.2f}x (mean exit {best['mean_exit_layer']:.2f})",
        "multiply-adds": f"{best['mac_ratio']:.2f} of the plain model's",
    }
    took = chosen_ms(calibration)
    if took is not None:
        lines["time a text"] = milliseconds(took)
    promise = calibration.get("promise")
    if isinstance(promise, Mapping) and promise.get("labelled") is False:
        lines["quality kept"] += " against full depth's own predictions; no labels were read"
    elif full == 0:
        lines["quality kept"] = "full depth scores 0, so there was nothing to keep"
    figures = [f"{name + ':':<17}{text}" for name, text in lines.items()]
    return "\n".join([*figures, *promise_sentences(calibration, {}, few=False)])


def reducer_text(found: Mapping[str, Any]) -> str:
    """What was chosen of a reducer, and what it gives where nobody leaves early.

    Args:
        found: As ``reducer.json`` holds it.
    """
    best, metric = found["chosen"], str(found["metric"])
    lines = {
        "reducer": json.dumps(found["reducer"]),
        "quality kept": f"{best['relative_quality']:.2%} of {metric_name(metric)} "
        f"{score(found['quality_full'], metric)} without it"
        + ("" if found["reached"] else ": not what was asked, the nearest to it"),
        "multiply-adds": f"{best['mac_ratio']:.2f} of the plain model's",
    }
    return "\n".join(f"{name + ':':<17}{text}" for name, text in lines.items())
