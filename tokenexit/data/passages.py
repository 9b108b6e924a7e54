"""Running text to pre-train on: columns of tables, or plain text files."""

from __future__ import annotations

import re
from pathlib import Path

from tokenexit.data.layout import split_of
from tokenexit.data.plain import read_plain
from tokenexit.data.source import local_path
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

PLAIN = (".txt", ".txt.gz")
"""Endings of files that are read as paragraphs, with an empty line between them."""

_EMPTY_LINES = re.compile(r"\n\s*\n")


def read_passages(
    source: str, *, column: str | None = None, name: str | None = None
) -> dict[str, list[str]]:
    """Texts of every split, none of them empty.

    Args:
        source: A ``.txt`` file, a folder of such files alone (those whose names stand for no split
            are for training), or whatever ``load_splits`` takes, with a column of texts.
        column: That column; the usual names are tried when None.
        name: Configuration or sub-folder of a data set.

    Raises:
        UserError: It cannot be read, or holds no text.
    """
    files = _plain_files(local_path(source))
    if files:
        found = {split: _paragraphs(paths) for split, paths in files.items()}
    else:
        splits = read_texts(source, column=column, label_column=None, name=name)
        found = {k: [part for row in split.tokens for part in row] for k, split in splits.items()}
    found = {split: [text for text in texts if text.strip()] for split, texts in found.items()}
    found["train"] = found.pop("all", found.get("train", []))
    if not found["train"]:
        raise UserError(f"{source} holds no text to train on.")
    return found


def _plain_files(path: Path | None) -> dict[str, list[Path]]:
    """Plain text files by split; none where there are tables."""
    if path is None:
        return {}
    inside = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.is_file())
    texts = [p for p in inside if p.name.lower().endswith(PLAIN) and p.name[0] != "."]
    tables = [p for p in inside if p.suffix in (".parquet", ".jsonl", ".csv", ".tsv", ".arrow")]
    if tables or (path / "data").is_dir():
        return {}
    found: dict[str, list[Path]] = {}
    for file in texts:
        found.setdefault(split_of(file) or "train", []).append(file)
    return found


def _paragraphs(paths: list[Path]) -> list[str]:
    pieces = (_EMPTY_LINES.split(read_plain(p).replace("\r\n", "\n")) for p in paths)
    return [" ".join(piece.split()) for group in pieces for piece in group]
