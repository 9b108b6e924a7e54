"""Pictures of the exits: who leaves where, how good each exit is, whether it knows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tokenexit.reporting.charts import Bar, Key, Line, Point, axis, bar_chart, line_chart
from tokenexit.reporting.naming import fixed, metric_name, percent, whole
from tokenexit.reporting.panel import Panel
from tokenexit.reporting.reliability import ENOUGH, Reliability
from tokenexit.reporting.result import Result
from tokenexit.reporting.run import RunData


def histogram_of(run: RunData) -> list[int] | None:
    """Words that left at each layer: as evaluated, else from the trace."""
    headline = run.headline
    if headline is not None:
        return list(headline.histogram)
    if run.words is not None and len(run.words):
        layers = run.words.exit_layer.tolist()
        return [layers.count(layer) for layer in range(1, run.num_layers + 1)]
    return None


def histogram_panel(counts: Sequence[int]) -> Panel:
    """Share of words that left at each layer."""
    total = max(sum(counts), 1)
    shares = [count / total for count in counts]
    bars = [
        Bar(
            label=str(layer),
            value=share,
            text=percent(share, 0 if share >= 0.095 or not share else 1),
            tip=f"layer {layer}: {whole(count)} words, {percent(share)}",
            css=f"f{layer}",
        )
        for layer, (share, count) in enumerate(zip(shares, counts, strict=True), start=1)
    ]
    y = axis("Share of words", shares, low=0, high=max([*shares, 0.01]) * 1.12, percent=True)
    chart = bar_chart(
        "histogram", "Exit histogram", "Share of words that left at each layer.", bars, "Layer", y
    )
    return Panel("Where words leave", chart, note=f"{whole(sum(counts))} words.")


def exit_quality(run: RunData) -> list[tuple[int, float]]:
    """Quality of each exit on its own, when every word reaches it."""
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
    metric = metric_name(result.metric) if result else "quality"
    points = [Point(layer, value, f"exit {layer}: {metric} {value:.4f}") for layer, value in values]
    layers = [layer for layer, _ in values]
    chart = line_chart(
        "exits",
        "Quality of each exit",
        f"{metric} of each exit alone, with every word going that far.",
        axis("Exit", layers, low=min(layers) - 0.4, high=max(layers) + 0.4, whole=True, count=8),
        axis(metric[0].upper() + metric[1:], [value for _, value in values]),
        [Line("exits", points, "k0")],
    )
    return Panel("What each exit could do alone", chart, note="Every word goes that far.")


def reliability_panel(found: Sequence[Reliability]) -> Panel:
    """Accuracy against confidence."""
    pooled, *exits = found
    lines = [Line("perfect", [Point(0, 0), Point(1, 1)], "static dashed", marked=False)]
    for exit_ in exits:
        points = [Point(b.confidence, b.accuracy) for b in exit_.solid()]
        lines.append(Line(f"exit {exit_.layer}", points, f"l{exit_.layer} thin", marked=False))
    most = max(b.count for b in pooled.bins)
    points = [
        Point(
            b.confidence,
            b.accuracy,
            f"confidence {b.confidence:.2f}\naccuracy {b.accuracy:.2f}\n{whole(b.count)} words",
            3 + 5 * math.sqrt(b.count / most),
        )
        for b in pooled.solid()
    ]
    lines.append(Line("all exits", points, "k0"))
    keys = [Key("all exits", "k0", "circle"), Key("as good as it says", "static dashed")]
    keys += [Key(f"exit {e.layer}", f"l{e.layer} thin") for e in exits]
    low = lowest(found)
    chart = line_chart(
        "reliability",
        "Reliability",
        f"Accuracy against confidence; expected calibration error {fixed(pooled.ece)}.",
        axis("Confidence when leaving", (), low=low, high=1.01),
        axis("Accuracy", (), low=low, high=1.02),
        lines,
    )
    note = f"Larger dots hold more words; bins with fewer than {ENOUGH} are left out."
    return Panel("Accuracy against confidence", chart, keys, note)


def lowest(found: Sequence[Reliability]) -> float:
    """Where both axes of a reliability plot begin: a round value below everything drawn."""
    values = [value for r in found for b in r.solid() for value in (b.confidence, b.accuracy)]
    return max(0.0, math.floor(10 * min(values) - 0.5) / 10)
