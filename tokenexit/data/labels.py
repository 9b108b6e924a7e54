"""Labels and numbers to learn, out of a column, checked row by row.

The same whatever the file: text is a label as it is written (``007``, ``True``, ``1.0`` in CSV), a
whole number is one by its digits, and nothing else is a label.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenexit.data.table import Table, shown
from tokenexit.errors import UserError

UNLABELLED = ""
"""The label of a training text that has none."""
_FROM_PANDAS = (
    " (pandas turns whole numbers into such where one is missing: use its kind Int64, or strings.)"
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Cell:
    """One value of a column of labels.

    Attributes:
        value: As it stands in the data.
        names: What whole numbers in this column stand for, or None.
        where: Its place, for messages.
        only_text: Whether every value of the file is text, as in CSV.
    """

    value: Any
    names: tuple[str, ...] | None
    where: str
    only_text: bool


ReadLabel = Callable[[Cell], str]
"""Makes a label of a value; ``UNLABELLED`` where there is none."""


def read_labels(
    table: Table, column: str, origin: str, *, missing: bool, read: ReadLabel
) -> list[list[str]]:
    """The label of each row in a list of one.

    Args:
        table: The rows.
        column: Column of the labels.
        origin: Where they come from, for messages.
        missing: Whether a row may have none: ``UNLABELLED`` then.
        read: What makes a label of a value.

    Raises:
        UserError: A row has no label, by its row.
    """
    names = table.class_names(column)
    found = []
    for row, value in enumerate(table.column(column)):
        where = f"{origin}, row {row}, column {column!r}"
        label = read(Cell(value, names, where, table.only_text))
        if label == UNLABELLED and not missing:
            raise UserError(
                f"{where}: {value!r} is no label. Only texts of a train split may have none; "
                "label or drop this row."
            )
        found.append([label])
    return found


def class_label(cell: Cell) -> str:
    """A class; none where there is nothing (null), or an empty string.

    Raises:
        UserError: Neither text nor a whole number with a meaning.
    """
    label, names, where = cell.value, cell.names, cell.where
    if label is None or isinstance(label, str):
        return label or UNLABELLED
    if isinstance(label, float):
        raise UserError(
            f"{where}: the label {label!r} is a number with a fraction. Classifiers need classes: "
            "strings, whole numbers or ClassLabel. To learn the number itself say regression=true."
            f"{_FROM_PANDAS if label != label or label.is_integer() else ''}"
        )
    if isinstance(label, list | tuple | dict):
        raise UserError(
            f"{where}: {shown(label)} is no label: a text has one, not several, nor spans with "
            "offsets. Write it as a string."
        )
    if isinstance(label, bool) or not isinstance(label, int):
        raise UserError(
            f"{where}: {shown(label)} is no label. Write labels as strings or whole numbers."
        )
    if label < 0:
        raise UserError(
            f"{where}: the label is {label}, which usually means that it was never published. Use "
            "another split."
        )
    if names is None:
        return str(label)
    if label >= len(names):
        raise UserError(
            f"{where}: {label} is no label: there are names for 0 to {len(names) - 1}. Mend or "
            "drop this row."
        )
    return names[label]


def number_label(cell: Cell) -> str:
    """A number as text; none where there is nothing (null), or an empty string.

    In CSV and TSV, where all is text, numbers are parsed: ``007`` is 7.

    Raises:
        UserError: No finite number.
    """
    value = cell.value
    if value is None or value == UNLABELLED:
        return UNLABELLED
    if cell.only_text and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"{cell.where}: {shown(value)} is no number, and a regression learns numbers. Store "
            "them as numbers; of classes make a classifier, without regression=true."
        )
    return repr(number)
