"""How long a text would take at another depth: a straight line through two times measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenexit.reporting.bench import Bench
from tokenexit.reporting.run import RunData
from tokenexit.wording.clock import timed_rows

APART = 0.1
"""Layers between the two depths below which they say nothing of a third."""


@dataclass(frozen=True)
class TimeByDepth:
    """Time as a line in depth.

    Attributes:
        depth: Mean exit layer of the policy that was timed.
        ms: Milliseconds a text with it.
        full_depth: Layers.
        full_ms: Milliseconds a text at full depth.
        batches: How texts were batched, in words.
    """

    depth: float
    ms: float
    full_depth: float
    full_ms: float
    batches: str

    @property
    def ms_a_layer(self) -> float:
        """What a layer takes."""
        return (self.full_ms - self.ms) / (self.full_depth - self.depth)

    def at(self, depth: float | None) -> float | None:
        """Milliseconds a text at a mean exit layer; None where the line leads below nothing."""
        if depth is None:
            return None
        found = self.ms + self.ms_a_layer * (depth - self.depth)
        return found if found > 0 else None


def times_by_depth(run: RunData) -> list[TimeByDepth]:
    """A line for each comparison of speed; of the calibration where nothing else was timed."""
    lines = [line for bench in run.benches if (line := _of_bench(bench)) is not None]
    return lines or _of_calibration(run)


def _of_bench(bench: Bench) -> TimeByDepth | None:
    ms, full = bench.policy_ms, bench.full_ms
    return _line(bench.depth, ms, bench.num_layers, full, bench.batches)


def _of_calibration(run: RunData) -> list[TimeByDepth]:
    calibration = run.calibration or {}
    rows: Sequence[dict] = [dict(row) for row in timed_rows(calibration)]
    full = next((row["ms"] for row in rows if row["name"] == "full depth"), None)
    mine = next((row["ms"] for row in rows if row.get("chosen")), None)
    depth = (calibration.get("chosen") or {}).get("mean_exit_layer")
    batches = (calibration.get("timing") or {}).get("batch_size")
    if not isinstance(depth, int | float):
        return []
    line = _line(depth, mine, run.num_layers, full, f"in batches of {batches}, in calibration")
    return [] if line is None else [line]


def _line(
    depth: float, ms: float | None, full_depth: float, full_ms: float | None, batches: str
) -> TimeByDepth | None:
    if ms is None or full_ms is None or full_depth - depth < APART:
        return None
    return TimeByDepth(depth, ms, full_depth, full_ms, batches)
