"""Picture of the oracle: where it would let words or tokens leave."""

from __future__ import annotations

from tokenexit.reporting.charts import bar_chart
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.histogram import layer_bars, share_axis
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.payers import payers
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import capital, fixed


@PANELS.register("oracle")
class Oracle(Panel):
    """Share of rows that the oracle lets leave at each layer."""

    section = "oracle"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        found, unit, step = payers(run), run.unit, run.step
        if found is None:
            return []
        bars = layer_bars(found.layers, unit)
        chart = bar_chart(
            "oracle",
            "Histogram of the oracle",
            f"Share of {unit}s that an oracle would let leave at each {step}.",
            bars,
            capital(step),
            share_axis(bars, unit),
        )
        note = f"{capital(step)} {fixed(found.total.oracle_layer, 2)} on average."
        return [Picture(f"Where an oracle lets {unit}s leave", chart, note=note)]
