"""One data file as a `datasets.Dataset`, read straight into memory.

The builders of `datasets` would write a second copy into a cache; here nothing is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.data.conll import read_conll, read_conllu
from tokenexit.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

# Extension -> format. The last ones are how CoNLL-2003 (eng.train, eng.testa) and WNUT-17
# (emerging.test.annotated) name their files.
FORMATS = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".conll": "conll",
    ".conllu": "conllu",
    ".txt": "conll",
    ".train": "conll",
    ".dev": "conll",
    ".testa": "conll",
    ".testb": "conll",
    ".annotated": "conll",
}


def read_file(path: Path | str) -> Dataset:
    """Read one parquet, JSON, JSON-lines, CSV, TSV, CoNLL or CoNLL-U file.

    The extension decides. TSV has no quoting, as in GLUE; CSV has. ``ClassLabel`` names in
    parquet survive.

    Raises:
        UserError: Unknown extension, or the file cannot be read as what it claims to be.
    """
    import pyarrow as pa
    from datasets import Dataset

    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            f"{path}: unknown format {path.suffix!r}. Known: {', '.join(FORMATS)} "
            "(.txt is read as CoNLL columns)."
        )
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            # ParquetFile, not read_table: that one takes "a=b" in a path for a column.
            table = pq.ParquetFile(path).read()
        elif kind in ("csv", "tsv"):
            table = _read_separated(path, kind)
        elif kind == "json":
            table = pa.table(_read_json(path))
        else:
            table = pa.table(read_conllu(path) if kind == "conllu" else read_conll(path))
        if table.num_rows == 0:
            raise UserError(f"{path} has no rows.")
        return Dataset(table)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as {kind}: {error}") from error


def _read_separated(path: Path, kind: str) -> Any:
    from pyarrow import csv

    quotes = '"' if kind == "csv" else False
    delimiter = "," if kind == "csv" else "\t"
    options = csv.ParseOptions(
        delimiter=delimiter, quote_char=quotes, newlines_in_values=kind == "csv"
    )
    return csv.read_csv(path, parse_options=options)


def _read_json(path: Path) -> dict[str, list[Any]]:
    with path.open(encoding="utf-8-sig") as file:
        text = file.read()
    rows = _parse_json(path, text)
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise UserError(
                f"{path}: row {number} is {type(row).__name__}, expected an object such as "
                '{"tokens": [...], "ner_tags": [...]}.'
            )
    names = dict.fromkeys(name for row in rows for name in row)  # keeps their order
    return {name: [row.get(name) for row in rows] for name in names}


def _parse_json(path: Path, text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: not valid JSON: {error}.") from error
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number}: not valid JSON ({error.msg}). Expected one object a "
                "line, or one list of objects for the whole file."
            ) from error
    return rows
