"""Where things go on the sheet: sizes, and from values to places."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.reporting.charts.axis import Axis

WIDTH, HEIGHT = 540, 320
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 30, 46


@dataclass(frozen=True)
class Frame:
    """A sheet with two axes.

    Attributes:
        x: The axis below.
        y: The axis on the left.
        width: Of the sheet.
        height: Of the sheet.
        left: Where the plot begins.
        right: Where it ends.
        top: Its upper edge.
        bottom: Its lower edge.
    """

    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM

    def across(self, value: float) -> float:
        """Horizontal place of a value."""
        return round(self.left + self.x.place(value) * (self.right - self.left), 1)

    def up(self, value: float) -> float:
        """Vertical place of a value; kept near the sheet, as far points only guide a line."""
        place = min(max(self.y.place(value), -9.0), 9.0)
        return round(self.bottom - place * (self.bottom - self.top), 1)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point is inside the plot."""
        edge = 1e-9
        return all(-edge <= p <= 1 + edge for p in (self.x.place(x), self.y.place(y)))
