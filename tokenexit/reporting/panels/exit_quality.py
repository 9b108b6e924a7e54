"""Picture of the exits: how good each one is alone."""

from __future__ import annotations

import math

from tokenexit.reporting.charts import Line, Point, axis, line_chart
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import capital, metric_name, scale, score


@PANELS.register("exit_quality")
class ExitQuality(Panel):
    """How good each exit is, when every word or token reaches it."""

    section = "exits"
    order = 30

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        values = exit_quality(run)
        if not values:
            return []
        key = run.metric
        metric, factor = metric_name(key), scale(key)
        unit = run.headline.unit if run.headline else "word"
        points = [
            Point(layer, factor * value, f"exit {layer}: {metric} {score(value, key)}")
            for layer, value in values
        ]
        layers = [layer for layer, _ in values]
        low, high = min(layers) - 0.4, max(layers) + 0.4
        chart = line_chart(
            "exits",
            "Quality of each exit",
            f"{metric} of each exit alone, with every {unit} going that far.",
            axis("Exit", layers, low=low, high=high, whole=True, count=8),
            axis(capital(metric), [point.y for point in points]),
            [Line("exits", points, "k0")],
        )
        note = f"Every {unit} goes that far."
        return [Picture("What each exit could do alone", chart, note=note)]


def exit_quality(run: RunData) -> list[tuple[int, float]]:
    """Quality of each exit on its own, when every word or token reaches it."""
    metrics = run.metrics or {}
    saved = metrics.get("exits_full_depth") or []
    if len(saved) == len(run.exit_layers):
        pairs = zip(run.exit_layers, saved, strict=True)
    else:
        pairs = [(row.get("layer"), row.get("quality")) for row in metrics.get("static") or []]
        top = run.headline and (run.num_layers, run.headline.quality_full_depth)
        if pairs and top and top not in pairs:
            pairs.append(top)
    return [
        (int(layer), float(quality))
        for layer, quality in pairs
        if layer is not None and quality is not None and math.isfinite(quality)
    ]
