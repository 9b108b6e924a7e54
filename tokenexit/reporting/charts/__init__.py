"""Small charts as inline SVG; colours come from the page's style sheet."""

from __future__ import annotations

from tokenexit.reporting.charts.axis import Axis, axis
from tokenexit.reporting.charts.bars import Bar, bar_chart
from tokenexit.reporting.charts.key import Key
from tokenexit.reporting.charts.lines import Line, Point, line_chart
from tokenexit.reporting.charts.shapes import SHAPES

__all__ = ["SHAPES", "Axis", "Bar", "Key", "Line", "Point", "axis", "bar_chart", "line_chart"]
