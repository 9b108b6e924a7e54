"""Picture of the exits of a generator: what comes late in a text."""

from __future__ import annotations

import numpy as np

from tokenexit.reporting.charts import Line, Point, axis, line_chart
from tokenexit.reporting.generated_trace import RARE
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import percent, whole

FEW = 60
"""Places up to which each one is marked."""


@PANELS.register("positions")
class Positions(Panel):
    """Mean exit layer at each place of a text."""

    section = "exits"
    order = 20

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        written, layers = run.generated_trace, run.num_layers
        if written is None or not len(written):
            return []
        places = written.by_position()
        points = [
            Point(
                place,
                mean,
                f"token {place}: layer {mean:.2f}\non average over {whole(count)} texts",
                3,
            )
            for place, mean, count in places
        ]
        end, top = len(places) + 0.5, layers + 0.2
        chart = line_chart(
            "positions",
            "Mean exit layer by place",
            "Mean exit layer of the first token of all texts, of the second, and so on.",
            axis("Token of the text", (), low=0.5, high=end, whole=True, count=8),
            axis("Mean exit layer", (), low=0.8, high=top, whole=True, count=min(layers, 8)),
            [Line("mean exit layer", points, "k0", marked=len(points) <= FEW)],
        )
        left_out = len(np.unique(written.position)) > len(places)
        note = f"Places that fewer than {percent(RARE, 0)} of the texts reach are left out."
        return [Picture("Depth along the text", chart, note=note if left_out else "")]
