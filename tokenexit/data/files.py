"""One data file as a table, read by its extension.

The builders of `datasets` would write a second copy into a cache; here nothing is written.
"""

from __future__ import annotations

from pathlib import Path

from tokenexit.data.arrow import read_arrow, read_parquet
from tokenexit.data.conll import read_conll, read_conllu
from tokenexit.data.json_rows import read_json
from tokenexit.data.separated import read_separated
from tokenexit.data.table import Table
from tokenexit.errors import UserError

# Extension -> format. The last ones are how CoNLL-2003 (eng.train, eng.testa) and WNUT-17
# (emerging.test.annotated) name their files.
FORMATS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".conll": "conll",
    ".conllu": "conllu",
    **dict.fromkeys((".conll2000", ".conll2003", ".conll02", ".conll03", ".col"), "conll"),
    **dict.fromkeys((".bio", ".bio2", ".iob", ".iob1", ".iob2"), "conll"),
    **dict.fromkeys((".bioes", ".iobes", ".bilou", ".bmes", ".bmeso"), "conll"),
    ".txt": "conll",
    ".train": "conll",
    ".dev": "conll",
    ".testa": "conll",
    ".testb": "conll",
    ".annotated": "conll",
}
KNOWN = (
    ".parquet, .arrow, .jsonl, .json, .csv, .tsv, .conllu, and with CoNLL columns .conll, .bio, "
    ".iob2, .bioes, .col, .txt and their kin"
)
"""The extensions in words."""
_PACKED = (".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz", ".rar", ".lz4")


def format_of(path: Path) -> str | None:
    """Format that the name stands for, None where it stands for none.

    Text formats may be packed: ``train.jsonl.gz`` is JSON lines.
    """
    suffix = path.suffix.lower()
    if suffix != ".gz":
        return FORMATS.get(suffix)
    kind = FORMATS.get(Path(path.stem).suffix.lower())
    return None if kind in ("parquet", "arrow") else kind


def read_file(path: Path | str) -> Table:
    """Read one parquet, Arrow, JSON, JSON-lines, CSV, TSV, CoNLL or CoNLL-U file.

    The extension decides, and ``.gz`` behind one of a text format is unpacked. CSV and TSV are
    text throughout, as they were written; TSV has no quoting, as in GLUE, CSV has. ``ClassLabel``
    names in parquet survive.

    Raises:
        UserError: Unknown extension, or the file cannot be read as what it claims to be.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is None:
        way = "Unpack it first. " if path.suffix.lower() in (*_PACKED, ".gz") else ""
        raise UserError(
            f"{path}: unknown format {path.suffix!r}. {way}Known: {KNOWN}; those of "
            "text may be packed as .gz."
        )
    try:
        table = _read(path, kind)
    except OSError as error:
        raise UserError(f"{path} cannot be read as {kind}: {error.strerror or error}.") from error
    except MemoryError as error:
        raise UserError(
            f"{path} is too large for the memory of this machine; split it into several files."
        ) from error
    if len(table) == 0:
        raise UserError(f"{path} has no rows.")
    return table


def _read(path: Path, kind: str) -> Table:
    if kind == "parquet":
        return read_parquet(path)
    if kind == "arrow":
        return read_arrow(path)
    if kind == "json":
        return read_json(path)
    if kind in ("csv", "tsv"):
        return read_separated(path, kind)
    columns = read_conllu(path) if kind == "conllu" else read_conll(path)
    rows = len(columns["tokens"])
    return Table(str(path), list(columns), rows, lambda name: list(columns[name]))
