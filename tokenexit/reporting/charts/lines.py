"""Lines and points on two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tokenexit.reporting.charts.axis import Axis
from tokenexit.reporting.charts.frame import Frame
from tokenexit.reporting.charts.shapes import outline
from tokenexit.reporting.render import render


@dataclass(frozen=True)
class Point:
    """A value, with what a hover tells and how large its mark is."""

    x: float
    y: float
    tip: str = ""
    size: float = 4.0


@dataclass(frozen=True)
class Line:
    """Points that belong together.

    Attributes:
        name: What a hover over the line tells.
        points: In the order in which they are joined.
        css: Class that sets the colour, and ``dashed``.
        shape: Of the marks.
        joined: Whether a line goes through them.
        marked: Whether they have marks.
    """

    name: str
    points: Sequence[Point]
    css: str
    shape: str = "circle"
    joined: bool = True
    marked: bool = True


def line_chart(
    ident: str,
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    lines: Sequence[Line],
) -> Markup:
    """Draw lines and points.

    Args:
        ident: Prefix of the ids in the SVG, unique on the page.
        title: Read out instead of the picture.
        description: What it shows, in a sentence.
        x: The axis below.
        y: The axis on the left.
        lines: Drawn in this order.
    """
    frame = Frame(x, y)
    return render(
        "lines.svg.j2",
        ident=ident,
        title=title,
        description=description,
        frame=frame,
        lines=[_drawn(frame, line) for line in lines if line.points],
    )


def _drawn(frame: Frame, line: Line) -> dict[str, object]:
    places = [(frame.across(point.x), frame.up(point.y), point) for point in line.points]
    inside = [place for place in places if frame.holds(place[2].x, place[2].y)]
    marks = [(outline(line.shape, px, py, p.size), p.tip) for px, py, p in inside if line.marked]
    # A single value is no line; it must be seen all the same.
    if line.joined and not line.marked and len(places) == 1:
        marks = [(outline(line.shape, px, py, 3), p.tip) for px, py, p in inside]
    path = "M" + "L".join(f"{px} {py}" for px, py, _ in places) if len(places) > 1 else ""
    return {
        "name": line.name,
        "css": line.css,
        "path": path if line.joined else "",
        "marks": marks,
    }
