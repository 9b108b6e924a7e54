"""All rows of all files, numbered through, and a reader that goes over them once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from typing import Any

from tokenexit.data.characters import whole_characters
from tokenexit.data.corpus.index import FileIndex, kept_lines
from tokenexit.data.corpus.opening import explained, open_file
from tokenexit.data.corpus.parquet import parquet_rows, row_of
from tokenexit.data.json_rows import parse_row
from tokenexit.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """Files of one format in their order.

    Attributes:
        format: ``parquet``, ``json`` or ``text``.
        files: What is known of each.
    """

    format: str
    files: tuple[FileIndex, ...]

    @cached_property
    def starts(self) -> list[int]:
        """Number of the first row of each file, and how many rows there are."""
        return list(accumulate((file.rows for file in self.files), initial=0))

    @property
    def rows(self) -> int:
        """Rows of all files together."""
        return self.starts[-1]

    def place(self, row: int) -> tuple[int, int]:
        """The file of a row and its number there."""
        number = bisect_right(self.starts, row) - 1  # past files without rows
        return number, row - self.starts[number]

    def where(self, row: int) -> str:
        """The same in words, for messages."""
        number, inside = self.place(row)
        return f"{self.files[number].path}, row {inside}"


class Reader:
    """Reads stretches of rows; going forwards, nothing is read twice, and little is held.

    Args:
        corpus: Whose rows.
        columns: Columns of parquet to read; JSON lines give all they have.
    """

    def __init__(self, corpus: Corpus, columns: Sequence[str]) -> None:
        self._corpus = corpus
        self._columns = columns
        self._file: int | None = None
        self._next = 0
        self._rows: Iterator[Any] = iter(())

    def read(self, start: int, stop: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows with their numbers, as they are asked for.

        Raises:
            UserError: As ``stored`` and ``values``.
        """
        return ((row, self.values(raw, row)) for row, raw in self.stored(start, stop))

    def stored(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Numbers of rows, each with what a file holds of it: for ``values``.

        Raises:
            UserError: A file cannot be read, or has fewer rows than it had.
        """
        row = start
        while row < stop:
            number, inside = self._corpus.place(row)
            file = self._corpus.files[number]
            last = min(stop - self._corpus.starts[number], file.rows)
            with explained(file.path):
                self._go_to(number, inside)
                for raw in islice(self._rows, last - inside):
                    self._next += 1
                    yield row, raw
                    row += 1
            if self._next != last:
                raise UserError(
                    f"{file.path} has {self._next} rows and had {file.rows}: it was changed. "
                    "Put it back, or start again into another folder."
                )

    def _go_to(self, number: int, inside: int) -> None:
        file = self._corpus.files[number]
        marked = [row for row, _ in file.marks]
        mark, place = file.marks[bisect_right(marked, inside) - 1]
        if number != self._file or not mark <= self._next <= inside:
            self._file, self._next = number, mark
            self._rows = self._from(file, place)
        skipped = inside - self._next
        self._next += sum(1 for _ in islice(self._rows, skipped))

    def _from(self, file: FileIndex, place: int) -> Iterator[Any]:
        if self._corpus.format == "parquet":
            yield from parquet_rows(file.path, place, self._columns)
            return
        with open_file(file.path) as source:
            source.seek(place)
            for _, line in kept_lines(source, self._corpus.format):
                yield line

    def values(self, raw: Any, row: int) -> dict[str, Any]:
        """The values of a row by column.

        Raises:
            UserError: It is no UTF-8, or no object of JSON.
        """
        if self._corpus.format == "parquet":
            return row_of(raw)
        text = self._text(raw, row)
        if self._corpus.format == "text":
            return {"text": text}
        return parse_row(text, self._corpus.where(row))

    def _text(self, line: bytes, row: int) -> str:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self._corpus.where(row)}: not UTF-8 text: {error}. Save the file as UTF-8, or "
                "mend or drop the line."
            ) from error
        first = self._corpus.place(row)[1] == 0
        return whole_characters(text.removeprefix("\ufeff") if first else text)
