"""Rows of one split, whose columns are read only when somebody asks for them.

A column that nobody needs may hold anything: numbers beside text, integers of 40 digits, kinds
that no library can read.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenexit.errors import UserError

ClassNames = tuple[str, ...]
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: Any) -> str:
    """A value as it is written in Python, shortened for a message."""
    return _SHORT.repr(value)


def described(value: Any) -> str:
    """Its kind and how it reads: ``int '7'``."""
    text = value if isinstance(value, str) else shown(value)
    return f"{type(value).__name__} {shown(text)}"


def check_texts(values: Sequence[Any], origin: str, place: str, more: str = "") -> None:
    """Refuse anything but text.

    Args:
        values: Of a column, by row.
        origin: Where the table came from, for messages.
        place: Where in its rows they stand, likewise.
        more: What else to say.

    Raises:
        UserError: Says where, and what stands there.
    """
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise UserError(
                f"{origin}, row {row}, {place}: expected text, not {described(value)}. "
                f"Mend or drop this row{more}."
            )


def check_apart(columns: Mapping[str, str | None], origin: str) -> None:
    """Refuse to take one column for two things, of which one would be learned by copying.

    Args:
        columns: What is read, in words, and from which column.
        origin: Where the table came from, for messages.

    Raises:
        UserError: Two are the same.
    """
    seen: dict[str, str] = {}
    for what, column in columns.items():
        if column is not None and seen.setdefault(column, what) != what:
            raise UserError(
                f"{origin}: the column {column!r} cannot be both the {seen[column]} and the "
                f"{what}; name another for one of them."
            )


def listed(names: Iterable[str], most: int = 30) -> str:
    """Names of columns or labels for a message: neither thousands nor of any length."""
    every = list(names)
    text = ", ".join(name if len(name) <= 60 else shown(name) for name in every[:most])
    return text if len(every) <= most else f"{text} and {len(every) - most} more"


def _nameless(_column: str) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name, one value a row.

    Attributes:
        origin: Where it comes from, for messages.
        column_names: Names in their order, repeated ones included.
        num_rows: Rows.
        read: Values of one column, ``None`` where there is none.
        names: Names of the classes that a column's numbers stand for, or None.
        only_text: Whether every value is text as it was written, as in CSV.
        hint: What to say to somebody who misses a column.
    """

    origin: str
    column_names: list[str]
    num_rows: int
    read: Callable[[str], list[Any]]
    names: Callable[[str], ClassNames | None] = _nameless
    only_text: bool = False
    hint: str = ""
    _kept: dict[str, list[Any]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.num_rows

    def column(self, name: str) -> list[Any]:
        """Values of one column.

        Raises:
            UserError: Several columns have the name, or its values cannot be read.
        """
        if self.column_names.count(name) > 1:
            raise UserError(
                f"{self.origin}: {self.column_names.count(name)} columns are named {name!r}. "
                "Rename or drop all of them but one."
            )
        if name not in self._kept:
            self._kept[name] = self.read(name)
        return self._kept[name]

    def class_names(self, name: str) -> ClassNames | None:
        """Names behind the numbers of a ``ClassLabel`` column, or of lists of them."""
        return self.names(name)

    def to_list(self) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        columns = {name: self.column(name) for name in self.column_names}
        return [{name: column[row] for name, column in columns.items()} for row in range(len(self))]


def joined(tables: Sequence[Table], origin: str) -> Table:
    """The shards of one split as one table.

    A column that the shards hold in different ways is refused when it is read.
    """
    if len(tables) == 1:
        return tables[0]
    first = tables[0]
    for table in tables[1:]:
        if sorted(table.column_names) != sorted(first.column_names):
            raise UserError(
                f"{origin}: the shards do not match: {first.origin} has the columns "
                f"{listed(first.column_names)}, and {table.origin} has "
                f"{listed(table.column_names)}."
            )

    def read(name: str) -> list[Any]:
        parts = [table.column(name) for table in tables]
        kinds = [_kind(part) for part in parts]
        for kind, table in zip(kinds, tables, strict=True):
            if None not in (kind, kinds[0]) and kind is not kinds[0]:
                raise UserError(
                    f"{origin}: the shards do not match: column {name!r} holds "
                    f"{kinds[0].__name__} in {first.origin} and {kind.__name__} in "  # pyright: ignore
                    f"{table.origin}."
                )
        return [value for part in parts for value in part]

    def names(name: str) -> ClassNames | None:
        found = {table.class_names(name) for table in tables}
        if len(found) > 1:
            raise UserError(
                f"{origin}: the shards do not match: the classes of column {name!r} have other "
                "names in some of them."
            )
        return found.pop()

    rows = sum(len(table) for table in tables)
    return Table(
        origin, first.column_names, rows, read, names, all(t.only_text for t in tables), first.hint
    )


def _kind(values: list[Any]) -> type | None:
    return next((type(value) for value in values if value is not None), None)
