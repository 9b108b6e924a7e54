"""Pictures of the exits: who leaves where, how good each exit is, what comes late in a text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tokenexit.reporting.charts import Axis, Bar, Line, Point, axis, bar_chart, line_chart
from tokenexit.reporting.panel import Panel
from tokenexit.reporting.result import Result
from tokenexit.reporting.run import RunData
from tokenexit.reporting.written import RARE, Written
from tokenexit.wording.naming import capital, metric_name, percent, scale, score, whole

FEW = 60
"""Places up to which each one is marked."""


def histogram_of(run: RunData) -> list[int] | None:
    """Words or tokens that left at each layer: as evaluated, else from the trace."""
    headline = run.headline
    if headline is not None:
        return list(headline.histogram)
    trace = run.words if run.words is not None else run.written
    if trace is not None and len(trace):
        layers = trace.exit_layer.tolist()
        return [layers.count(layer) for layer in range(1, run.num_layers + 1)]
    return None


def histogram_panel(counts: Sequence[int], unit: str) -> Panel:
    """Share of words or tokens that left at each layer."""
    bars = layer_bars(counts, unit)
    what = f"Share of {unit}s that left at each layer."
    y = share_axis(bars, unit)
    chart = bar_chart("histogram", "Exit histogram", what, bars, "Layer", y)
    return Panel(f"Where {unit}s leave", chart, note=f"{whole(sum(counts))} {unit}s.")


def layer_bars(counts: Sequence[int], unit: str) -> list[Bar]:
    """A bar a layer, in its colour: the share of rows there."""
    total = max(sum(counts), 1)
    return [
        Bar(
            label=str(layer),
            value=count / total,
            text=percent(count / total, 0 if count / total >= 0.095 or not count else 1),
            tip=f"layer {layer}: {whole(count)} {unit}s, {percent(count / total)}",
            css=f"f{layer}",
        )
        for layer, count in enumerate(counts, start=1)
    ]


def share_axis(bars: Sequence[Bar], unit: str) -> Axis:
    """The axis of such bars, with room for their texts."""
    shares = [bar.value for bar in bars]
    high = max([*shares, 0.01]) * 1.12
    return axis(f"Share of {unit}s", shares, low=0, high=high, percent=True)


def exit_quality(run: RunData) -> list[tuple[int, float]]:
    """Quality of each exit on its own, when every word or token reaches it."""
    metrics = run.metrics or {}
    saved = metrics.get("exits_full_depth") or []
    if len(saved) == len(run.exit_layers):
        pairs = zip(run.exit_layers, saved, strict=True)
    else:
        pairs = [(row.get("layer"), row.get("quality")) for row in metrics.get("static") or []]
        if pairs and run.headline and (run.num_layers, run.headline.full) not in pairs:
            pairs.append((run.num_layers, run.headline.full))
    return [
        (int(layer), float(quality))
        for layer, quality in pairs
        if layer is not None and quality is not None and math.isfinite(quality)
    ]


def exit_quality_panel(values: Sequence[tuple[int, float]], result: Result | None) -> Panel:
    """How good each exit is."""
    key = result.metric if result else "quality"
    metric, factor = metric_name(key), scale(key)
    unit = result.unit if result else "word"
    points = [
        Point(layer, factor * value, f"exit {layer}: {metric} {score(value, key)}")
        for layer, value in values
    ]
    layers = [layer for layer, _ in values]
    chart = line_chart(
        "exits",
        "Quality of each exit",
        f"{metric} of each exit alone, with every {unit} going that far.",
        axis("Exit", layers, low=min(layers) - 0.4, high=max(layers) + 0.4, whole=True, count=8),
        axis(capital(metric), [point.y for point in points]),
        [Line("exits", points, "k0")],
    )
    return Panel("What each exit could do alone", chart, note=f"Every {unit} goes that far.")


def position_panel(written: Written, layers: int) -> Panel:
    """Mean exit layer at each place of a text."""
    places = written.by_position()
    points = [
        Point(
            place, mean, f"token {place}: layer {mean:.2f}\non average over {whole(count)} texts", 3
        )
        for place, mean, count in places
    ]
    chart = line_chart(
        "positions",
        "Mean exit layer by place",
        "Mean exit layer of the first token of all texts, of the second, and so on.",
        axis("Token of the text", (), low=0.5, high=len(places) + 0.5, whole=True, count=8),
        axis("Mean exit layer", (), low=0.8, high=layers + 0.2, whole=True, count=min(layers, 8)),
        [Line("mean exit layer", points, "k0", marked=len(points) <= FEW)],
    )
    left_out = len(np.unique(written.position)) > len(places)
    note = f"Places that fewer than {percent(RARE, 0)} of the texts reach are left out."
    return Panel("Depth along the text", chart, note=note if left_out else "")
