"""Entries of a legend, which stands beside its charts as text so that it can wrap."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.reporting.charts.shapes import outline


@dataclass(frozen=True)
class Key:
    """One entry.

    Attributes:
        name: What it stands for.
        css: Class that sets the colour.
        shape: Of the mark; empty without one.
        joined: Whether a line goes through the mark.
    """

    name: str
    css: str
    shape: str = ""
    joined: bool = True

    @property
    def path(self) -> str:
        """The mark, on a sheet of 26 by 14."""
        return outline(self.shape, 13, 7, 4) if self.shape else ""
