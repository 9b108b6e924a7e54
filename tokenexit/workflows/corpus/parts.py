"""Parts of the answers: written whole or not at all, and looked at before they are relied on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit import files
from tokenexit.errors import UserError
from tokenexit.workflows.corpus.schema import ROW

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 512  # of parquet that are held until they are written


def write_part(path: Path, records: Iterable[Mapping[str, Any]], schema: pa.Schema | None) -> int:
    """Write records as they come.

    Args:
        path: The part; nothing is there until the last record is on the disk.
        records: Plain data.
        schema: Of a parquet part; None for JSON lines.

    Returns:
        How many there were.

    Raises:
        UserError: It cannot be written.
    """
    with files.replacing(path) as partial:
        if schema is not None:
            return _write_parquet(partial, iter(records), schema)
        count = 0
        with partial.open("w", encoding="utf-8", newline="") as out:
            for record in records:
                out.write(files.json_line(record) + "\n")
                count += 1
        return count


def _write_parquet(path: Path, records: Iterator[Mapping[str, Any]], schema: pa.Schema) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        while some := list(islice(records, _ROWS)):
            try:
                batch = pa.RecordBatch.from_pylist(some, schema)
            except pa.ArrowException as error:
                raise UserError(
                    f"Of the rows {some[0][ROW]} to {some[-1][ROW]}, what is kept does not fit the "
                    f"types that the first file has ({error}). Give --format jsonl, or keep fewer "
                    "columns."
                ) from error
            writer.write_batch(batch)
            count += len(some)
    return count


def is_whole(path: Path, rows: range) -> bool:
    """Whether a part is there with the last record it should have.

    A disk that failed, or a copy that was cut short, leaves others.
    """
    try:
        if path.suffix == ".parquet":
            return _parquet_rows(path) == len(rows)
        return _last_record(path, len(rows)) == rows[-1]
    except FileNotFoundError:
        return False


def _parquet_rows(path: Path) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.metadata.num_rows
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError):
        return None


def _last_record(path: Path, count: int) -> int | None:
    """The row that the last of so many lines is about."""
    lines, last = 0, b""
    with path.open("rb") as file:
        for line in file:
            lines, last = lines + 1, line
    if lines != count or not last.endswith(b"\n"):
        return None
    try:
        return json.loads(last)[ROW]
    except (ValueError, KeyError, TypeError):
        return None
