"""Labels and numbers to learn, out of a column, checked row by row.

The same whatever the file: text is a label as it is written (``007``, ``True``, ``1.0`` in CSV), a
whole number is one by its digits, and nothing else is a label.
"""

from __future__ import annotations

import math
import re
from typing import Any

from tokenexit.data.table import Table, shown
from tokenexit.errors import UserError

UNLABELLED = ""
"""The label of a training text that has none."""
_FROM_PANDAS = (
    " (pandas turns whole numbers into such where one is missing: use its kind Int64, or strings.)"
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_labels(
    table: Table, column: str, origin: str, *, missing: bool, regression: bool
) -> list[list[str]]:
    """The label of each row in a list of one, or its number as text.

    Args:
        table: The rows.
        column: Column of the labels.
        origin: Where they come from, for messages.
        missing: Whether a row may have none (null, or an empty string): ``UNLABELLED`` then.
        regression: Whether labels are numbers to learn. In CSV and TSV, where all is text, they
            are parsed: ``007`` is 7.

    Raises:
        UserError: A row has no label or no number, by its row.
    """
    names = table.class_names(column)
    found = []
    for row, value in enumerate(table.column(column)):
        if value and not regression and isinstance(value, str):
            found.append([value])
            continue
        where = f"{origin}, row {row}, column {column!r}"
        if value is None or value == UNLABELLED:
            if not missing:
                raise UserError(
                    f"{where}: {value!r} is no label. Only texts of a train split may have none; "
                    "label or drop this row."
                )
            found.append([UNLABELLED])
        elif regression:
            found.append([_number(value, where, table.only_text)])
        else:
            found.append([_label(value, names, where)])
    return found


def _label(label: Any, names: tuple[str, ...] | None, where: str) -> str:
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


def _number(value: Any, where: str, from_text: bool) -> str:
    if from_text and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"{where}: {shown(value)} is no number, and a regression learns numbers. Store them "
            "as numbers; of classes make a classifier, without regression=true."
        )
    return repr(number)
