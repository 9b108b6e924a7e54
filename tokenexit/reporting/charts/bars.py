"""Bars, one a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tokenexit.reporting.charts.axis import Axis, axis
from tokenexit.reporting.charts.frame import Frame
from tokenexit.reporting.render import render

GAP = 0.22
WIDEST = 88
"""Of a bar; two layers need no slabs."""


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        label: Below it.
        value: Its height.
        text: Above it.
        tip: What a hover tells.
        css: Class that sets the colour.
    """

    label: str
    value: float
    text: str
    tip: str
    css: str


CROWDED = 34
"""Width of a bar's place below which texts above the bars would meet."""


def bar_chart(
    ident: str, title: str, description: str, bars: Sequence[Bar], x_title: str, y: Axis
) -> Markup:
    """Draw bars.

    Args:
        ident: Prefix of the ids in the SVG, unique on the page.
        title: Read out instead of the picture.
        description: What it shows, in a sentence.
        bars: From left to right.
        x_title: What the labels are.
        y: The axis on the left, from 0.
    """
    frame = Frame(axis(x_title, (), low=0, high=max(len(bars), 1)), y)
    room = (frame.right - frame.left) / max(len(bars), 1)
    width = min(room * (1 - GAP), WIDEST)
    every = -(-len(bars) // 16)
    drawn = []
    for number, bar in enumerate(bars):
        top, middle = frame.up(bar.value), frame.across(number + 0.5)
        drawn.append(
            {
                "bar": bar,
                "x": round(middle - width / 2, 1),
                "y": top,
                "middle": middle,
                "width": round(width, 1),
                "height": round(frame.bottom - top, 1),
                "label": bar.label if number % every == 0 else "",
                "text": bar.text if room >= CROWDED else "",
            }
        )
    return render(
        "bars.svg.j2",
        ident=ident,
        title=title,
        description=description,
        frame=frame,
        bars=drawn,
    )
