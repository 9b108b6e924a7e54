"""What a calibration measured by the clock, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenexit.wording.naming import counted, milliseconds, percent, times


def clock_sentences(calibration: Mapping[str, Any]) -> list[str]:
    """In which precision it holds, what was timed, and whether exits pay.

    Args:
        calibration: As ``calibration.json`` holds it.
    """
    return [*_precision(calibration), *_timing(calibration)]


def timed_rows(calibration: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The finalists that were timed, as far as they are what calibration writes."""
    timing = calibration.get("timing")
    rows = timing.get("rows") if isinstance(timing, Mapping) else None
    if not isinstance(rows, list):
        return []
    return [
        row
        for row in rows
        if isinstance(row, Mapping) and isinstance(row.get("ms"), int | float) and "name" in row
    ]


def chosen_ms(calibration: Mapping[str, Any]) -> float | None:
    """Milliseconds a text of the choice; None where nothing was timed."""
    return next((float(row["ms"]) for row in timed_rows(calibration) if row.get("chosen")), None)


def where(timing: Mapping[str, Any]) -> str:
    """Machine, precision, threads and batches, in a few words."""
    held = timing.get("conditions")
    held = held if isinstance(held, Mapping) else {}
    parts = [str(held[key]) for key in ("processor", "instruction_set", "precision") if key in held]
    if "threads" in held:
        parts.append(counted(held["threads"], "thread"))
    return ", ".join([*parts, f"batches of {timing.get('batch_size')}"])


def _precision(calibration: Mapping[str, Any]) -> list[str]:
    precision = calibration.get("precision") or "fp32"
    if precision == "fp32":
        return []
    share = calibration.get("full_depth_kept")
    told = f"It was measured in {precision}, against full depth in float32"
    if not isinstance(share, int | float):
        return [f"{told}."]
    asked = (calibration.get("target") or {}).get("min_quality")
    short = isinstance(asked, int | float) and share < asked
    less = ", less than asked" if short else ""
    return [f"{told}, of which full depth in {precision} keeps {percent(share, 2)}{less}."]


def _timing(calibration: Mapping[str, Any]) -> list[str]:
    rows, timing = timed_rows(calibration), calibration.get("timing")
    if not rows or not isinstance(timing, Mapping):
        return []
    told = ", ".join(f"{milliseconds(row['ms'])} {_named(row)}" for row in rows)
    return [f"A text took, in turns ({where(timing)}): {told}. {_verdict(rows, timing)}"]


def _named(row: Mapping[str, Any]) -> str:
    name, depth = str(row["name"]), (row.get("policy") or {}).get("depth")
    words = {"full depth": "at full depth", "policy": "with the best policy"}
    if name == "fixed layer":
        words[name] = f"leaving at layer {depth}"
    return f"{words.get(name, f'with the {name}')}{' (chosen)' if row.get('chosen') else ''}"


def _verdict(rows: list[Mapping[str, Any]], timing: Mapping[str, Any]) -> str:
    """Whether exits pay, from who was chosen and by how much."""
    chosen = next((row for row in rows if row.get("chosen")), None)
    full = next((row for row in rows if row["name"] == "full depth"), None)
    if chosen is None or full is None:
        return ""
    if timing.get("binding") == "nothing":
        return "Full depth is within the time, so no exit is needed."
    if chosen is full:
        return "Exits do not pay there: nothing that is as asked was faster beyond the noise."
    gain = f"{times(full['ms'] / chosen['ms'])} as fast as full depth"
    if not timing.get("pays"):
        return "It is not faster than full depth beyond the noise."
    if chosen["name"] == "fixed layer":
        return f"A policy does not pay there; the fixed layer is {gain}."
    return f"Exits pay: {gain}."
