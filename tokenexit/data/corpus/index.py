"""What is kept of a file so that any row of it is found again: little, however large it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Self

from tokenexit.data.corpus.opening import explained, open_file, stamp_of
from tokenexit.data.corpus.parquet import open_parquet
from tokenexit.data.json_rows import parse_row
from tokenexit.errors import UserError


@dataclass(frozen=True)
class FileIndex:
    """One file of a corpus.

    Attributes:
        path: Where it is.
        rows: How many it has.
        columns: Their names; of JSON lines, those of the first row.
        marks: Rows that can be gone to at once, the first included: ``(row, place)``. The place is
            a row group of parquet and a byte of lines.
        stamp: What changes when the file does.
    """

    path: str
    rows: int
    columns: tuple[str, ...]
    marks: tuple[tuple[int, int], ...]
    stamp: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From ``to_json``."""
        marks = tuple((int(row), int(place)) for row, place in data["marks"])
        columns = tuple(map(str, data["columns"]))
        return cls(str(data["path"]), int(data["rows"]), columns, marks, dict(data["stamp"]))


def scan(path: str, kind: str, every: int) -> FileIndex:
    """Look through a file once: parquet says where its rows are, lines are counted.

    Args:
        path: The file.
        kind: ``parquet``, ``json`` or ``text``.
        every: Rows between two marks of a file of lines.

    Raises:
        UserError: It cannot be read, or is no file of this kind.
    """
    stamp = stamp_of(path)
    with explained(path):
        if kind == "parquet":
            columns, rows, marks = _groups(path)
        else:
            columns, rows, marks = _lines(path, kind, every)
    return FileIndex(path, rows, columns, marks, stamp)


_Looked = tuple[tuple[str, ...], int, tuple[tuple[int, int], ...]]


def _groups(path: str) -> _Looked:
    with open_parquet(path) as file:
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        names = tuple(file.schema_arrow.names)
    starts = list(accumulate(counts, initial=0))
    return names, starts[-1], tuple((row, group) for group, row in enumerate(starts[:-1]))


def _lines(path: str, kind: str, every: int) -> _Looked:
    marks: list[tuple[int, int]] = []
    rows = 0
    columns: tuple[str, ...] = ("text",)
    with open_file(path) as file:
        for place, line in kept_lines(file, kind):
            if rows == 0 and kind == "json":
                columns = _columns(line, path)
            if rows % every == 0:
                marks.append((rows, place))
            rows += 1
    return columns, rows, tuple(marks)


def kept_lines(file: Iterable[bytes], kind: str, place: int = 0) -> Iterator[tuple[int, bytes]]:
    """Lines that are rows, each with the byte where it begins: all of a text, objects of JSON."""
    for line in file:
        if kind == "text" or line.strip():
            yield place, line
        place += len(line)


def _columns(line: bytes, path: str) -> tuple[str, ...]:
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if text.lstrip().startswith("["):
        raise UserError(
            f"{path} is one list of JSON, which is not read piece by piece. Write one object a "
            "line: jq -c '.[]' FILE > FILE.jsonl does so."
        )
    return tuple(parse_row(text, f"{path}, row 0"))
