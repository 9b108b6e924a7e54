"""Picture of the exits: who leaves where."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.reporting.charts import Axis, Bar, axis, bar_chart
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import percent, whole


@PANELS.register("histogram")
class Histogram(Panel):
    """Share of words or tokens that left at each layer."""

    section = "exits"
    order = 10

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        counts, unit = histogram_of(run), run.unit
        if not counts:
            return []
        bars = layer_bars(counts, unit)
        what = f"Share of {unit}s that left at each layer."
        y = share_axis(bars, unit)
        chart = bar_chart("histogram", "Exit histogram", what, bars, "Layer", y)
        return [Picture(f"Where {unit}s leave", chart, note=f"{whole(sum(counts))} {unit}s.")]


def histogram_of(run: RunData) -> list[int] | None:
    """Words or tokens that left at each layer: as evaluated, else from the trace."""
    headline = run.headline
    if headline is not None:
        return list(headline.exit_histogram)
    trace = run.words if run.words is not None else run.generated_trace
    if trace is not None and len(trace):
        layers = trace.exit_layer.tolist()
        return [layers.count(layer) for layer in range(1, run.num_layers + 1)]
    return None


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
