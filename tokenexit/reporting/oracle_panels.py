"""Picture of the oracle: where it would let words or tokens leave."""

from __future__ import annotations

from tokenexit.reporting.charts import bar_chart
from tokenexit.reporting.exit_panels import layer_bars, share_axis
from tokenexit.reporting.panel import Panel
from tokenexit.reporting.payers import Payers
from tokenexit.wording.naming import capital, fixed


def oracle_panel(found: Payers, unit: str, step: str) -> Panel:
    """Share of rows that the oracle lets leave at each layer."""
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
    return Panel(f"Where an oracle lets {unit}s leave", chart, note=note)
