"""Quality against compute: which points the picture shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenexit.reporting.curve_point import CurvePoint
from tokenexit.reporting.files import known
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import policy_text, scale

LOWEST = 0.85
"""Share of the full-depth quality below which the picture ends: the choice is made above."""


@dataclass(frozen=True)
class Curve:
    """What was measured, sorted out.

    Attributes:
        families: Engine points of each family, by depth.
        static: All words (or tokens) stopped at one layer.
        full: The whole network.
        chosen: The policy the model is saved with.
        oracle: Layer at which an oracle would let words leave, on average.
        kept: Share of full-depth quality that calibration had to keep.
        whole: The full-depth quality that is meant, where it is not that of ``full``.
        whole_name: Its name: full depth, with its precision if that is another.
        metric: Name of the metric.
        split: Where all this was measured.
        unit: What leaves at an exit.
        lower: Whether a lower quality is the better one.
    """

    families: Mapping[str, list[CurvePoint]]
    static: list[CurvePoint]
    full: CurvePoint | None
    chosen: CurvePoint | None
    kept: float | None
    metric: str
    split: str
    unit: str = "word"
    lower: bool = False
    whole: float | None = None
    whole_name: str = "full depth"
    oracle: float | None = None

    @property
    def scale(self) -> int:
        """What qualities are multiplied by when they are drawn."""
        return scale(self.metric)

    @property
    def floor(self) -> float | None:
        """The quality that calibration had to keep, in the metric's own unit."""
        if not self.kept or not self.full:
            return None
        whole = self.full.quality if self.whole is None else self.whole
        return whole / self.kept if self.lower else self.kept * whole

    @property
    def points(self) -> list[CurvePoint]:
        """All of them."""
        single = [point for point in (self.full, self.chosen) if point is not None]
        return [*(p for points in self.families.values() for p in points), *self.static, *single]

    def shown(self) -> tuple[float, float]:
        """Lowest and highest quality worth showing."""
        best = max((point.quality for point in self.points), default=1.0)
        engine = [point.quality for points in self.families.values() for point in points]
        baseline = [point.quality for point in self.static]
        # Of the baseline its best point is enough: the line leads out of the picture.
        values = [*engine, max(baseline)] if engine and baseline else [*engine, *baseline]
        whole = self.full.quality if self.full else best
        worth = [value for value in values if value >= LOWEST * whole]
        # The choice and the whole network are seen wherever they lie.
        single = [point.quality for point in (self.full, self.chosen) if point is not None]
        return min([*worth, *single, best]), best

    def outside(self) -> int:
        """Points below the picture."""
        low, _ = self.shown()
        return sum(point.quality < low for point in self.points)


def curve_of(run: RunData) -> Curve | None:
    """Sort out the points of a run; None when nothing was measured."""
    rows = run.pareto or []
    headline = run.headline
    split = rows[0].split if rows else headline.split if headline else "test"
    here = run.results.get(split) or (headline if headline and headline.split == split else None)
    families: dict[str, list[CurvePoint]] = {}
    for row in sorted(rows, key=lambda row: row.depth or 0.0):
        if row.kind == "engine" and row.split == split:
            families.setdefault(row.family or "engine", []).append(row)
    static = [r for r in rows if r.kind == "static" and r.split == split] or _static(run, split)
    full = next((r for r in rows if r.kind == "full"), None)
    chosen = None
    if here is not None:
        name = policy_text(here.policy) if here.policy else ""
        chosen = CurvePoint(
            "chosen", name, name, here.quality, here.mean_exit_layer, known(here.mac_ratio), split
        )
        whole = known(here.quality_full_depth)
        if full is None and whole is not None:
            full = CurvePoint("full", "full", "", whole, float(here.num_layers), 1.0, split)
    if not (families or static or full or chosen):
        return None
    asked = ((run.calibration or {}).get("target") or {}).get("min_quality")
    return Curve(
        families=families,
        static=sorted(static, key=lambda row: row.depth or 0.0),
        full=full,
        chosen=chosen,
        kept=asked if full and full.quality else None,
        metric=here.metric if here else headline.metric if headline else "quality",
        split=split,
        unit=run.unit,
        lower=bool(here and here.lower_is_better),
        whole=known(here.quality_full_depth) if here and here.within else None,
        whole_name=here.full_name if here else "full depth",
        oracle=here.oracle.exit_layer if here and here.oracle else None,
    )


def _static(run: RunData, split: str) -> list[CurvePoint]:
    """The baseline as the metrics hold it, measured on the split that counts."""
    if run.headline is None or split != run.headline.split:
        return []
    entries: list[Mapping[str, Any]] = (run.metrics or {}).get("static") or []
    return [
        CurvePoint(
            "static",
            "static",
            f"all {run.unit}s stop at layer {entry['layer']}",
            float(entry["quality"]),
            float(entry["layer"]),
            entry.get("mac_ratio"),
            split,
        )
        for entry in entries
        if entry.get("quality") is not None and "layer" in entry
    ]
