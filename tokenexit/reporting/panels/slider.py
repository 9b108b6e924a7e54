"""The slider: where words or tokens leave, and what it costs, at other settings."""

from __future__ import annotations

from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.render import render
from tokenexit.reporting.run import RunData
from tokenexit.reporting.stops import Slider, slider_of
from tokenexit.wording.naming import milliseconds


@PANELS.register("slider")
class ThresholdSlider(Panel):
    """Moves the threshold over runs of the engine that evaluation kept."""

    section = "words"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        slider = slider_of(run)
        if slider is None:
            return []
        chart = render("slider.html.j2", slider=slider)
        return [Picture("Move the threshold", chart, note=_note(slider, run))]


def _note(slider: Slider, run: RunData) -> str:
    split = run.pareto[0].split if run.pareto else "test"
    told = f"Each stop is a run of the engine; quality and depth are of the whole {split} split."
    if not slider.times:
        return f"{told} For times, run tokenexit bench RUN --json RUN/bench.json."
    each = " and ".join(f"{milliseconds(line.ms_a_layer)} {line.batches}" for line in slider.times)
    return (
        f"{told} Times are estimates, on a straight line through the two that were measured (full "
        f"depth and the policy): a layer takes {each}."
    )
