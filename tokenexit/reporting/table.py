"""A table of the page, as text: the template lays it out, as rows or, on a phone, as cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Columns and rows of text.

    Attributes:
        head: Names of the columns.
        rows: Cells; those of Markup may hold more than text.
        text: Columns of words rather than numbers; the first is one anyway.
        marked: Rows that stand out.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[int] = ()
    marked: Sequence[int] = ()
