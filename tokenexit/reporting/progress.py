"""The training log as series over steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST = 240
"""Points a line is drawn with; longer logs are averaged over neighbouring steps."""

Series = list[tuple[float, float]]
"""Pairs of step and value."""


@dataclass(frozen=True)
class Progress:
    """What the log tells of each exit; an empty list where it tells nothing.

    Attributes:
        loss: Cross-entropy.
        reached: Share of words that reached it.
        validation: Quality on the validation split.
        quality: The same of the whole network, where exits were not measured each.
    """

    loss: list[Series]
    reached: list[Series]
    validation: list[Series]
    quality: Series


def progress_of(log: Sequence[dict[str, Any]]) -> Progress:
    """Take the series out of the log."""
    reached, validation = _series(log, "reached"), _series(log, "validation_by_exit")
    quality = [{**e, "quality": [e.get("validation_quality")]} for e in log]
    return Progress(
        loss=[_thin(series) for series in _series(log, "loss_by_exit", unless="reached")],
        reached=[_thin(series) for series in reached],
        validation=[_thin(series) for series in validation],
        quality=[] if any(validation) or not log else _thin(_series(quality, "quality")[0]),
    )


def _series(log: Sequence[dict[str, Any]], key: str, unless: str | None = None) -> list[Series]:
    """One series an exit; values where ``unless`` is 0 (nobody was there) are left out."""
    found: list[Series] = []
    for entry in log:
        values = entry.get(key)
        if not isinstance(values, list) or "step" not in entry:
            continue
        beside = entry.get(unless) if unless else None
        for row, value in enumerate(values):
            while len(found) <= row:
                found.append([])
            nobody = isinstance(beside, list) and row < len(beside) and not beside[row]
            if isinstance(value, int | float) and math.isfinite(value) and not nobody:
                found[row].append((float(entry["step"]), float(value)))
    return found


def _thin(series: Series) -> Series:
    size = math.ceil(len(series) / MOST)
    if size <= 1:
        return series
    parts = [series[start : start + size] for start in range(0, len(series), size)]
    return [(p[-1][0], sum(value for _, value in p) / len(p)) for p in parts]
