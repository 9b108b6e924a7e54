"""Read the files of a run: None where one is missing, a readable error where one is damaged."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries

if TYPE_CHECKING:
    import pyarrow as pa

AGAIN = "Copy the run folder again, or make the file anew."


def read_text(path: Path) -> str | None:
    """The whole file as text.

    Raises:
        UserError: It is not UTF-8 text.
    """
    if not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}. {AGAIN}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. {AGAIN}") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object.

    Raises:
        UserError: The file is damaged, or holds something else.
    """
    text = read_text(path)
    if text is None:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}. {AGAIN}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} holds a {type(data).__name__}, not a JSON object. {AGAIN}")
    return data


def read_jsonl(path: Path) -> list[dict[str, Any]] | None:
    """One JSON object a line; a last line cut off by a kill is left out.

    Raises:
        UserError: Another line is damaged.
    """
    text = read_text(path)
    if text is None:
        return None
    entries = []
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            raise UserError(f"{path}, line {number}, is not JSON: {error}. {AGAIN}") from error
        if not isinstance(entry, dict):
            raise UserError(f"{path}, line {number}, is not a JSON object. {AGAIN}")
        entries.append(entry)
    return entries


def read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]] | None:
    """Rows of a CSV file with a header.

    Raises:
        UserError: One of ``columns`` is not there.
    """
    text = read_text(path)
    if text is None:
        return None
    rows = csv.DictReader(text.splitlines())
    try:
        check_columns(rows.fieldnames or (), columns, path)
        return [{key: value or "" for key, value in row.items() if key} for row in rows]
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}. {AGAIN}") from error


def read_table(path: Path) -> pa.Table | None:
    """A parquet file.

    Raises:
        UserError: It is none.
    """
    if not path.is_file():
        return None
    require_libraries("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a parquet file: {reason} {AGAIN}") from error


def check_columns(found: Iterable[str], wanted: Iterable[str], path: Path) -> None:
    """Compare the columns of a table with those it should have.

    Raises:
        UserError: One is not there.
    """
    there = set(found)
    missing = [name for name in wanted if name not in there]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}. {AGAIN}")


def whole_column(table: pa.Table, name: str, low: int, high: int, path: Path) -> np.ndarray:
    """A column of whole numbers.

    Args:
        table: The table.
        name: Of the column.
        low: The lowest that makes sense.
        high: The highest.
        path: Where the table came from, for messages.

    Raises:
        UserError: It holds something else, gaps or other numbers.
    """
    import pyarrow as pa

    try:
        values = table.column(name).cast(pa.int64()).combine_chunks()
        found = values.to_numpy(zero_copy_only=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(f"{path}: the column {name} holds no whole numbers. {AGAIN}") from error
    if values.null_count or (len(found) and not low <= found.min() <= found.max() <= high):
        raise UserError(f"{path}: the column {name} has gaps or senseless numbers. {AGAIN}")
    return found


def counts(values: Any, origin: object) -> list[int]:
    """A list of counts.

    Raises:
        UserError: It is something else.
    """
    whole = isinstance(values, list | tuple) and all(
        isinstance(value, int | float) and 0 <= value < 2**53 for value in values
    )
    if not whole:
        raise UserError(f"{origin} should be a list of counts, not {str(values)[:80]!r}.")
    return [int(value) for value in values]


def known(value: float) -> float | None:
    """A figure of a result; None where its file did not tell it."""
    return value if math.isfinite(value) else None


def number(data: Mapping[str, Any], key: str, origin: object) -> float | None:
    """An optional number of a row or an object.

    Raises:
        UserError: It is there and no number.
    """
    value = data.get(key)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{origin}: {key} should be a number, not {str(value)[:80]!r}.") from error
