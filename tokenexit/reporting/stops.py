"""What a report's slider stops at: settings of the threshold, each run by the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tokenexit.errors import UserError
from tokenexit.policies.in_words import policy_words
from tokenexit.reporting.curve_point import CurvePoint
from tokenexit.reporting.files import AGAIN
from tokenexit.reporting.heatmap import Cell, heat_map, heatmap_line
from tokenexit.reporting.run import SETTINGS, TRACE, RunData
from tokenexit.reporting.setting_trace import SettingTrace
from tokenexit.reporting.text_map import Token, text_cells, text_map
from tokenexit.reporting.time_by_depth import TimeByDepth, times_by_depth
from tokenexit.results import kept
from tokenexit.wording.naming import capital, fixed, metric_name, milliseconds, percent, score

Packed = list[Any]
"""Layer, flags and number of the note; of a generator the token and what a hover tells first."""

WRONG, STRONG, SPACED, SPECIAL = 1, 2, 4, 8


@dataclass(frozen=True)
class Stop:
    """One setting.

    Attributes:
        name: The policy in words.
        figures: What was measured of it, in the order of ``Slider.heads``.
        lines: Cells of each text that is shown; None of the one that the page shows already.
    """

    name: str
    figures: Sequence[str]
    lines: Sequence[Sequence[Packed]] | None


@dataclass(frozen=True)
class Slider:
    """All stops, from full depth on.

    Attributes:
        heads: Names of the figures.
        stops: The settings.
        start: Number of that which the slider begins at.
        notes: What hovers tell.
        times: Where the times come from.
    """

    heads: Sequence[str]
    stops: Sequence[Stop]
    start: int
    notes: Sequence[str]
    times: Sequence[TimeByDepth]

    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        stops = [
            {"name": stop.name, "figures": stop.figures, "lines": stop.lines} for stop in self.stops
        ]
        return {"stops": stops, "notes": self.notes}


def slider_of(run: RunData) -> Slider | None:
    """Sort out the settings; None where no traces were kept of them."""
    moved, shown = run.settings, _shown(run)
    if moved is None or len(moved.policies) < 2 or not shown or not set(shown) <= moved.texts:
        return None
    points = {p.policy: p for p in run.pareto or [] if p.kind in ("full", "engine")}
    depth = [_depth(moved, number, points) for number in range(len(moved.policies))]
    order = sorted(range(len(depth)), key=lambda number: -depth[number])
    start, exact = _chosen(run, [points.get(moved.policies[n]) for n in order], order, depth)
    times, notes = times_by_depth(run), dict[str, int]()
    full = next((p.quality for p in points.values() if p.kind == "full"), None)
    stops = []
    for place, number in enumerate(order):
        point = points.get(moved.policies[number])
        lines = [_packed(_cells(run, moved, number, text), notes) for text in shown]
        stops.append(
            Stop(
                name=policy_words(moved.policies[number]),
                figures=_figures(run, point, depth[number], full, times),
                lines=None if exact and place == start else lines,
            )
        )
    heads = [capital(metric_name(run.metric)), "Kept", "Mean exit layer", "MACs"]
    heads += [f"Time a text, {line.batches}" for line in times]
    return Slider(heads, stops, start, list(notes), times)


def _shown(run: RunData) -> list[int]:
    """Numbers of the texts, in the order of the page."""
    groups = text_map(run) if run.generates else heat_map(run)
    return [line.number for group in groups for line in group.lines]


def _depth(moved: SettingTrace, number: int, points: dict[str, CurvePoint]) -> float:
    """Mean exit layer of a setting: as measured, else of the texts that were kept."""
    point = points.get(moved.policies[number])
    if point is not None and point.depth is not None:
        return point.depth
    return float(moved.exit_layer[moved.setting == number].mean())


def _chosen(
    run: RunData, points: Sequence[CurvePoint | None], order: Sequence[int], depth: Sequence[float]
) -> tuple[int, bool]:
    """The stop of the model's own policy and True, or that of the nearest depth and False."""
    mine = run.headline
    if mine is None:
        return 0, False
    for place, point in enumerate(points):
        if point is not None and point.split == mine.split and _same(point, mine):
            return place, True
    return int(np.argmin([abs(depth[n] - mine.mean_exit_layer) for n in order])), False


def _same(point: CurvePoint, mine: Any) -> bool:
    """Whether a point is what the model's own policy gave: thresholds may be rounded."""
    pairs = ((point.quality, mine.quality), (point.depth, mine.mean_exit_layer))
    return all(a is not None and math.isclose(a, b, rel_tol=1e-9) for a, b in pairs)


def _figures(
    run: RunData,
    point: CurvePoint | None,
    depth: float,
    full: float | None,
    times: Sequence[TimeByDepth],
) -> list[str]:
    quality = None if point is None else point.quality
    lower = bool(run.headline and run.headline.lower_is_better)
    share = None if quality is None or not full else kept(quality, full, lower)
    found = [
        score(quality, run.metric),
        percent(share),
        f"{fixed(depth, 2)} of {run.num_layers}",
        fixed(None if point is None else point.mac_ratio, 2),
    ]
    for line in times:
        at = line.at(depth)
        found.append(f"≈ {milliseconds(at)}" if at is not None else milliseconds(None))
    return found


def _cells(run: RunData, moved: SettingTrace, number: int, text: int) -> Sequence[Cell]:
    """One text at one setting."""
    there = moved.of(number, text)
    if run.generates:
        written = run.generated_trace
        assert written is not None
        saved = next(one for one in written.texts if one.number == text)
        tokens, layers = [str(token) for token in there.said], there.exit_layer.tolist()
        now = replace(saved, tokens=tokens, exit_layers=layers)
        return text_cells(written, now, run.num_layers)[0]
    words = run.words
    assert words is not None
    mine = words.part(*np.searchsorted(words.text, [text, text + 1]).tolist())
    if len(there.said) != len(mine):
        raise UserError(f"{SETTINGS} and {TRACE} are not of the same texts. {AGAIN}")
    unsure = np.full(len(mine), math.nan)
    now = replace(mine, exit_layer=there.exit_layer, prediction=there.said, confidence=unsure)
    return heatmap_line(run, now, 0, len(now)).cells


def _packed(cells: Sequence[Cell], notes: dict[str, int]) -> list[Packed]:
    """As small as the script can read it."""
    found = []
    for cell in cells:
        flags = WRONG * cell.wrong + STRONG * cell.strong
        note = notes.setdefault(cell.note, len(notes))
        if isinstance(cell, Token):
            flags += SPACED * cell.spaced + SPECIAL * cell.special
            found.append([cell.layer, flags, note, cell.word, cell.head])
        else:
            found.append([cell.layer, flags, note])
    return found
