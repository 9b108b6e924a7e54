"""Parquet files, Arrow files and data sets of the Hub, column by column."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.data.table import ClassNames, Table
from tokenexit.errors import UserError
from tokenexit.extras import require_libraries

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_WAY_OUT = "It may be damaged, cut off or encrypted: fetch or write it again."


def read_parquet(path: Path) -> Table:
    """Open a parquet file; a column is read when it is asked for.

    Raises:
        UserError: It is no parquet file, or a damaged or encrypted one.
    """
    require_libraries("pyarrow")
    # ParquetFile, not read_table: that one takes "a=b" in a path for a column.
    import pyarrow.parquet as pq

    def column(name: str) -> pa.ChunkedArray:
        with pq.ParquetFile(path) as file:
            return file.read([name]).column(name)

    def opened() -> tuple[pa.Schema, int]:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows

    schema, rows = _guarded(opened, path, "parquet")
    return _table(path, "parquet", schema, rows, column)


def read_arrow(path: Path) -> Table:
    """Open an Arrow IPC file (Feather included), or a stream as ``save_to_disk`` writes it.

    Raises:
        UserError: It is neither, or a damaged one.
    """
    require_libraries("pyarrow")
    import pyarrow as pa

    def everything() -> pa.Table:
        with pa.OSFile(str(path)) as source:
            if source.read(6) == b"ARROW1":
                found = pa.ipc.open_file(source).read_all()
            else:
                source.seek(0)
                found = pa.ipc.open_stream(source).read_all()
        found.validate(full=True)  # damaged offsets would be read beyond the end
        return found

    found = _guarded(everything, path, "arrow")
    return _table(path, "arrow", found.schema, found.num_rows, found.column)


def from_dataset(dataset: Dataset, origin: str) -> Table:
    """A `datasets.Dataset` as a table."""

    def read(name: str) -> list[Any]:
        return _guarded(lambda: dataset.select_columns([name])[:][name], origin, f"column {name!r}")

    def names(name: str) -> ClassNames | None:
        return _class_names(dataset.features[name])

    return Table(origin, dataset.column_names, len(dataset), read, names)


def _table(
    path: Path,
    kind: str,
    schema: pa.Schema,
    rows: int,
    column: Callable[[str], pa.ChunkedArray],
) -> Table:
    def read(name: str) -> list[Any]:
        values = _guarded(lambda: column(name), path, kind)
        try:
            return values.to_pylist()
        except Exception as error:  # whatever the kind of the column may raise
            raise UserError(
                f"{path}, row {_first_bad(values)}, column {name!r} cannot be read as text or "
                f"numbers: {_brief(error)}. Mend or drop this row, or write the file again."
            ) from error

    names = _guarded(lambda: schema.names, path, kind)
    features = _features(schema)
    return Table(str(path), names, rows, read, lambda name: _names_in(features, name, path))


def _first_bad(values: pa.ChunkedArray) -> int:
    for row, value in enumerate(values):
        try:
            value.as_py()
        except Exception:  # the one that was looked for
            return row
    return 0


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What `datasets` has written about the columns; nothing where that is not to be read."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _names_in(features: dict[str, Any], name: str, path: Path) -> ClassNames | None:
    if name not in features:
        return None
    require_libraries("datasets")
    from datasets import Features

    try:
        return _class_names(Features.from_dict({name: features[name]})[name])
    except Exception as error:  # as many kinds as there are ways to write it wrongly
        raise UserError(
            f"{path}: what the file says of column {name!r} is damaged ({_brief(error)}). "
            "Write it again."
        ) from error


def _class_names(feature: Any) -> ClassNames | None:
    from datasets import ClassLabel

    while feature is not None and not isinstance(feature, ClassLabel):
        inner = feature[:1] if isinstance(feature, list) else [getattr(feature, "feature", None)]
        feature = inner[0] if inner else None
    if feature is None:
        return None
    return tuple(feature.names or ()) or None


def _guarded(read: Callable[[], Any], origin: Path | str, kind: str) -> Any:
    try:
        return read()
    except Exception as error:  # damaged files raise whatever the reader was about to do
        raise UserError(
            f"{origin} cannot be read as {kind}: {_brief(error)}. {_WAY_OUT}"
        ) from error


def _brief(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}: {first[:200]}" if first else type(error).__name__
