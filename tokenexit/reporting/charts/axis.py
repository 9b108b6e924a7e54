"""An axis: its range, and ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Axis:
    """A range of values.

    Attributes:
        title: What is measured.
        low: Value at the start.
        high: Value at the end.
        ticks: Values that are written, with their text.
        log: Whether equal distances are equal factors.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the start, 1 at the end."""
        if self.log:
            # A value of 0 has no place on a logarithmic axis; it goes far below.
            value = math.log(max(value, 1e-300))
            return (value - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def axis(
    title: str,
    values: Iterable[float],
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    percent: bool = False,
    whole: bool = False,
    pad: float = 0.06,
    count: int = 5,
) -> Axis:
    """An axis that holds all values.

    Args:
        title: What is measured.
        values: What has to fit.
        low: Fixed start; by default a little below the lowest value.
        high: Fixed end.
        log: Logarithmic; ignored when a value is 0 or less.
        percent: Write ticks as percentages.
        whole: Ticks at whole numbers only.
        pad: Share of the range left free at either end.
        count: About how many ticks.
    """
    found = [value for value in values if math.isfinite(value)]
    first, last = min(found, default=0.0), max(found, default=1.0)
    log = log and bool(found) and first > 0
    if first == last:
        margin = abs(first) / 10 or 1.0
        first, last = (first / 2, last * 2) if log else (first - margin, last + margin)
    elif log:
        factor = (last / first) ** pad
        first, last = first / factor, last * factor
    else:
        margin = (last - first) * pad
        first, last = first - margin, last + margin
    start, end = first if low is None else low, last if high is None else high
    if end <= start:
        end = start + 1.0
    places = _log_ticks(start, end) if log else nice_ticks(start, end, count, whole=whole)
    write = _writer(places, percent=percent, log=log)
    return Axis(title, start, end, tuple((value, write(value)) for value in places), log)


def nice_ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[float]:
    """About ``count`` round numbers between ``low`` and ``high``."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in STEPS if s * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1,), (1, 3), (1, 2, 5)):
        found = [part * 10.0**power for power in powers for part in parts]
        inside = [value for value in found if low <= value <= high]
        if len(inside) >= 3:
            return inside
    return nice_ticks(low, high, 4)


def _writer(places: list[float], *, percent: bool, log: bool) -> Callable[[float], str]:
    if log:
        return lambda value: f"{value:g}"
    scale, sign = (100, "%") if percent else (1, "")
    step = min((b - a for a, b in pairwise(places)), default=1.0) * scale
    # As many decimals as the step has: 2.5 needs one although it is above 1.
    digits = next((n for n in range(6) if abs(round(step, n) - step) < step * 1e-6), 6)
    return lambda value: f"{abs(value) if value == 0 else value * scale:.{digits}f}{sign}"
