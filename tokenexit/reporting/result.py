"""Quality and cost of one split, as evaluation saved them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from tokenexit.errors import UserError
from tokenexit.metrics import METRICS
from tokenexit.reporting.account import account_of
from tokenexit.reporting.files import AGAIN, counts, number
from tokenexit.results import Result, kept
from tokenexit.tasks import Unit, unit_of

DEEPEST = 100_000
"""Layers that no network has."""

REQUIRED = ("split", "metric", "quality", "mean_exit_layer", "num_layers", "exit_histogram")


def read_result(data: Any, origin: str = "The result") -> Result:
    """Read plain data; ratios that were not saved are worked out, other figures are NaN.

    Args:
        data: One result, as ``tokenexit evaluate --json`` writes it.
        origin: Where it came from, for messages.

    Raises:
        UserError: Missing or senseless entries.
    """
    if not isinstance(data, Mapping):
        raise UserError(f"{origin} should be an object, not {data!r}.")
    missing = [name for name in REQUIRED if data.get(name) is None]
    if missing:
        raise UserError(f"{origin} lacks {', '.join(missing)}. Evaluate the model again.")

    def figure(name: str, otherwise: float = math.nan) -> float:
        value = number(data, name, origin)
        return otherwise if value is None else value

    quality, depth, layers = (figure(name, 0.0) for name in REQUIRED[2:5])
    rows, sentences = figure("n_rows", 0.0), figure("n_sentences", 0.0)
    sensible = all(map(math.isfinite, (quality, depth, layers, rows, sentences)))
    if not sensible or not 0 <= layers <= DEEPEST:
        raise UserError(f"{origin}: its figures are no sensible numbers. {AGAIN}")
    for name in ("figures", "notes"):
        if not isinstance(data.get(name) or {}, Mapping):
            raise UserError(f"{origin}: {name} should be an object. {AGAIN}")
    full, lower = figure("quality_full_depth"), data.get("lower_is_better") is True
    return Result(
        task=str(data.get("task") or ""),
        split=str(data["split"]),
        n_sentences=int(sentences),
        n_rows=int(rows),
        metric=str(data["metric"]),
        quality=quality,
        quality_full_depth=full,
        relative_quality=_kept(figure("relative_quality"), quality, full, lower),
        mean_exit_layer=depth,
        num_layers=int(layers),
        depth_speedup=figure("depth_speedup", layers / depth if depth else math.nan),
        exit_histogram=counts(data["exit_histogram"], f"{origin}: exit_histogram"),
        mac_ratio=figure("mac_ratio"),
        policy=data.get("policy") or {},
        figures=data.get("figures") or {},
        notes=data.get("notes") or {},
        lower_is_better=lower,
        oracle=account_of(data.get("oracle"), origin),
        unit=_unit(data),
        **_precisions(data),
    )


def _kept(saved: float, quality: float, full: float, lower: bool) -> float:
    """The share that is kept; NaN where there was nothing to keep, or full depth is not known."""
    if full == 0 and not lower:
        return math.nan
    if not math.isnan(saved) or math.isnan(full) or (lower and not quality):
        return saved
    return kept(quality, full, lower)


def _precisions(data: Mapping[str, Any]) -> dict[str, str]:
    """Precisions of the result and of full depth: one and the same in files of older versions."""
    names = ("precision", "full_depth_precision")
    told = {name: data[name] for name in names if isinstance(data.get(name), str)}
    return told if len(told) == len(names) else {}


def _unit(data: Mapping[str, Any]) -> str:
    """What leaves at an exit, as saved; older versions did not: what the task says."""
    if data.get("unit") in get_args(Unit):
        return str(data["unit"])
    known = dict(METRICS.items()).get(str(data["metric"]))
    generates = "agreement_exact" in (data.get("figures") or {})
    return unit_of(
        str(data.get("task") or ""), generates or (known is not None and known.of == "texts")
    )
