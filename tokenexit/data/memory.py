"""Data in memory, read as files are: lists of dictionaries, data frames, data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenexit.data.arrow import from_dataset
from tokenexit.data.table import Table, shown
from tokenexit.errors import UserError

ORIGIN = "the data given"


@dataclass(frozen=True, eq=False)
class Memory:
    """Splits in memory, in the place of a path.

    Attributes:
        tables: By name.
    """

    tables: Mapping[str, Table]

    def __str__(self) -> str:
        return ORIGIN


def in_memory(train: Any, validation: Any = None) -> Memory:
    """Splits to train on.

    Args:
        train: Rows; or splits by name, as a ``DatasetDict`` has them.
        validation: Further rows.

    Raises:
        UserError: Neither a list of dictionaries nor a data frame nor a data set.
    """
    named: dict[str, Any] = dict(train) if isinstance(train, Mapping) else {"train": train}
    if validation is not None:
        named["validation"] = validation
    return Memory({str(name): _table(rows, f"{ORIGIN} [{name}]") for name, rows in named.items()})


def _table(rows: Any, origin: str) -> Table:
    if hasattr(rows, "features") and hasattr(rows, "column_names"):
        return from_dataset(rows, origin)
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        names = [str(name) for name in rows.columns]
        frame = rows.set_axis(names, axis=1)
        return Table(origin, names, len(rows), lambda name: [*map(_plain, frame[name].tolist())])
    given = list(rows) if isinstance(rows, list | tuple) else None
    if given is None or not all(isinstance(row, Mapping) for row in given):
        raise UserError(
            f"{origin} must be a list of dictionaries, a data frame or a data set of "
            f"transformers' datasets, not {shown(rows)}."
        )
    names = list(dict.fromkeys(str(name) for row in given for name in row))
    return Table(origin, names, len(given), lambda name: [_plain(row.get(name)) for row in given])


def _plain(value: Any) -> Any:
    """A value as JSON has it: arrays as lists, and what is missing (NaN) as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if isinstance(value, float) and value != value else value
