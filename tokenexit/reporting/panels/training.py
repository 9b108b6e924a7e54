"""Pictures of the training: each exit over the steps."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.reporting.charts import Axis, Key, Line, Point, axis, line_chart
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.progress import Series, progress_of
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import capital, metric_name, scale, score

FEW = 20
"""Points up to which each one is marked."""


@PANELS.register("training")
class Training(Panel):
    """Loss, share of words or tokens, and validation quality, as far as the log tells."""

    section = "training"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        progress, layers = progress_of(run.log or []), run.exit_layers
        metric, unit = run.metric, run.unit
        name, found = metric_name(metric), []
        if any(progress.loss):
            values = _values(progress.loss)
            spread = min(values) > 0 and max(values) > 20 * min(values)
            y = axis("Cross-entropy", values, log=spread, low=None if spread else 0)
            found.append(_picture("loss", "Loss of each exit", progress.loss, layers, y))
        if any(progress.reached):
            y = axis(f"Share of {unit}s", (), low=0, high=1.03, percent=True)
            heading = f"{capital(unit)}s that reached each exit"
            found.append(_picture("reached", heading, progress.reached, layers, y))
        if any(progress.validation):
            y = axis(capital(name), _values(progress.validation))
            heading = f"Validation {name} of each exit"
            found.append(_picture("validation", heading, progress.validation, layers, y))
        if progress.quality:
            found.append(_whole(progress.quality, metric))
        return found

    def keys(self, run: RunData) -> list[Key]:
        """See ``Panel``."""
        progress = progress_of(run.log or [])
        count = max(len(progress.loss), len(progress.reached), len(progress.validation))
        return [Key(f"exit {layer}", f"l{layer}") for layer in _layers(run.exit_layers, count)]


def _layers(layers: Sequence[int], count: int) -> Sequence[int]:
    return layers if len(layers) == count else range(1, count + 1)


def _values(group: Sequence[Series]) -> list[float]:
    return [value for series in group for _, value in series]


def _whole(series: Series, metric: str) -> Picture:
    """Validation quality at full depth."""
    name = metric_name(metric)
    points = [
        Point(step, scale(metric) * v, f"step {step:.0f}: {name} {score(v, metric)}")
        for step, v in series
    ]
    heading = f"Validation {name} at full depth"
    chart = line_chart(
        "training-quality",
        heading,
        f"{heading} over the training steps.",
        axis("Step", [step for step, _ in series], low=0, pad=0.02, whole=True),
        axis(capital(name), [point.y for point in points]),
        [Line("full depth", points, "full", marked=len(points) <= FEW)],
    )
    return Picture(heading, chart)


def _picture(
    ident: str, heading: str, group: Sequence[Series], layers: Sequence[int], y: Axis
) -> Picture:
    lines = [
        Line(
            name=f"exit {layer}",
            points=[Point(s, v, f"exit {layer}, step {s:.0f}: {v:.4g}", 2.6) for s, v in series],
            css=f"l{layer}",
            marked=len(series) <= FEW,
        )
        for layer, series in zip(_layers(layers, len(group)), group, strict=True)
    ]
    steps = [step for series in group for step, _ in series]
    x = axis("Step", steps, low=0, pad=0.02, whole=True)
    chart = line_chart(
        f"training-{ident}", heading, f"{heading} over the training steps.", x, y, lines
    )
    return Picture(heading, chart)
