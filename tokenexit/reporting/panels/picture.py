"""A chart with its heading, its legend and a remark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tokenexit.reporting.charts import Key


@dataclass(frozen=True)
class Picture:
    """One picture of the page.

    Attributes:
        title: Heading.
        chart: The SVG, or a ``div`` of HTML that is XML too.
        keys: Legend.
        note: What to know when reading it.
    """

    title: str
    chart: Markup
    keys: Sequence[Key] = ()
    note: str = ""
