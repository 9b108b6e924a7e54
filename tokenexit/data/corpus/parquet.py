"""Rows of parquet files, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenexit.data.corpus.opening import DAMAGED, brief, open_file
from tokenexit.errors import UserError
from tokenexit.extras import require_libraries

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_ROWS = 512  # decoded at once
_BUFFER = 1 << 20  # bytes of a column at once, instead of all that a row group has of it


@contextmanager
def open_parquet(path: str) -> Iterator[pq.ParquetFile]:
    """A parquet file whose columns come in pieces.

    Raises:
        UserError: It is none, or a damaged or encrypted one.
    """
    require_libraries("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_file(path) as source:
        try:
            file = pq.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{path} cannot be read as parquet: {brief(error)}. {DAMAGED}"
            ) from error
        with file:
            yield file


def parquet_rows(path: str, group: int, columns: Sequence[str]) -> Iterator[tuple[Any, int]]:
    """Rows from the beginning of a row group on, as places in batches of some columns.

    What is stepped over costs no conversion: ``row_of`` converts.
    """
    import pyarrow as pa

    with open_parquet(path) as file:
        groups = range(group, file.num_row_groups)
        try:
            for batch in file.iter_batches(_ROWS, row_groups=list(groups), columns=list(columns)):
                for place in range(batch.num_rows):
                    yield batch, place
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{path} cannot be read as parquet: {brief(error)}. {DAMAGED}"
            ) from error


def row_of(found: tuple[Any, int]) -> dict[str, Any]:
    """The values of one row by column."""
    batch, place = found
    return {
        name: column[place].as_py()
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
