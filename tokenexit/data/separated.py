"""CSV and TSV: every value is text as it was written.

No guessing: ``007`` stays a label of three digits, ``NA`` and ``2020-01-01`` stay words, and an
empty cell is an empty text. CSV has quoting (RFC 4180); TSV has none, as in GLUE.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from tokenexit.data.plain import lines_of, read_plain
from tokenexit.data.table import Table, listed, shown
from tokenexit.errors import UserError

Row = tuple[str, ...]
"""Cells. Not a list: the garbage collector would look at each again and again."""
_HINT = " CSV and TSV files need a first line that names their columns, such as {example!r}."


def read_separated(path: Path, kind: str) -> Table:
    """Read a file whose first line names its columns; lines without anything are left out.

    Args:
        path: The file.
        kind: ``csv`` or ``tsv``.

    Raises:
        UserError: No UTF-8, open quotes, a row with more or fewer cells than there are names, or
            one that repeats them.
    """
    text = read_plain(path)
    rows = _csv_rows(text, path) if kind == "csv" else _tsv_rows(text)
    first = next((row for row, cells in enumerate(rows) if any(cells)), len(rows))
    if first == len(rows):
        return Table(str(path), [], 0, lambda _: [])
    names, body = [name.strip() for name in rows[first]], rows[first + 1 :]
    if set(map(len, body)) - {len(names)}:
        body = _mended(body, names, path, kind)
    if len(names) > 1 and rows[first] in body:
        raise UserError(
            f"{path}: row {body.index(rows[first])} repeats the first line, the names of the "
            "columns, as where files were put one behind the other. Delete such rows."
        )
    places = {name: place for place, name in enumerate(names)}

    def read(name: str) -> list[str]:
        place = places[name]
        return [cells[place] for cells in body]

    return Table(str(path), names, len(body), read, only_text=True, hint=_hint(names, kind))


def _csv_rows(text: str, path: Path) -> list[Row]:
    before = csv.field_size_limit(sys.maxsize)  # of the process: put back below
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return list(map(tuple, reader))
    except csv.Error as error:
        raise UserError(
            f"{path} cannot be read as csv: stray or open quotes in the row that ends in line "
            f"{reader.line_num} ({error}). Put a field with quotes in double quotes and write "
            'each quote inside twice: "so ""this"" is quoted".'
        ) from error
    finally:
        csv.field_size_limit(before)


def _tsv_rows(text: str) -> list[Row]:
    # A lone CR is text, unless lines end in nothing else.
    lines = lines_of(text) if "\n" not in text else text.replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [tuple(line.split("\t")) for line in lines]


def _mended(rows: list[Row], names: list[str], path: Path, kind: str) -> list[Row]:
    """Rows without empty lines, which are empty texts where there is but one column."""
    width = len(names)
    if width == 1:
        rows = [cells or ("",) for cells in rows]
    else:
        rows = [cells for cells in rows if cells not in ((), ("",))]
    wrong = [(row, len(cells)) for row, cells in enumerate(rows) if len(cells) != width]
    if not wrong:
        return rows
    row, count = wrong[0]
    more = f" So have {len(wrong) - 1} more rows." if len(wrong) > 1 else ""
    way = {
        "csv": "Put a field that holds a comma in double quotes",
        "tsv": "TSV has no quoting, so no field can hold a tab or a line end",
    }[kind]
    raise UserError(
        f"{path} cannot be read as {kind}: row {row}, which begins with {shown(rows[row][0])}, has "
        f"{count} field(s), and the first line names {width}: {listed(names, 8)}.{more} {way}; "
        "mend or drop such rows."
    )


def _hint(names: list[str], kind: str) -> str:
    mark = "," if kind == "csv" else "\t"
    hint = _HINT.format(example=mark.join(("sentence", "label")))
    for other, name in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if len(names) == 1 and other in names[0] and other != mark:
            ending = {";": "commas", "\t": "the ending .tsv", ",": "the ending .csv"}[other]
            hint += f" This one seems to be parted by {name}: give it {ending}."
    return hint
