"""OntoNotes 5 NER as parquet, 18 types.

python data_scripts/prepare_ontonotes.py OUTPUT --input conll-2012/v12/data  # **/*gold_conll
python data_scripts/prepare_ontonotes.py OUTPUT --input FOLDER   # train, dev, test in CoNLL columns
python data_scripts/prepare_ontonotes.py OUTPUT --hub ID         # tokens and ner_tags with names

A folder with *gold_conll files (CoNLL-2012: word in column 4, entities as brackets in column 11) is
read whole; the folders train, development and test above a file give its split.

Licence: OntoNotes 5 is LDC2013T19, free of charge under an LDC agreement. Get your own copy; do
not pass it on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _common import Splits, main, read

from tokenexit.data.plain import lines_of, read_plain
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError

_SPLITS = {"train": "train", "development": "validation", "dev": "validation", "test": "test"}


def read_ontonotes(args: argparse.Namespace, column: str) -> Splits:
    """Read CoNLL-2012 folders; everything else as `_common.read` does."""
    folder = Path(args.input[0]) if args.input else None
    files = sorted(folder.rglob("*gold_conll")) if folder and folder.is_dir() else []
    if not folder or not files:
        return read(args, column)
    splits: Splits = {}
    for path in files:
        names = [_SPLITS[part] for part in path.relative_to(folder).parts if part in _SPLITS]
        if not names:
            raise UserError(f"{path} lies in no folder named train, development or test.")
        split = splits.setdefault(names[0], TaggedSplit([], [], f"{folder} [{names[0]}]"))
        read_gold_conll(path, split)
    return splits


def read_gold_conll(path: Path, split: TaggedSplit) -> None:
    """Append the sentences of one CoNLL-2012 file to ``split``."""
    words: list[str] = []
    tags: list[str] = []
    inside = ""

    def close() -> None:
        if inside:
            raise UserError(f"{path}: an entity {inside!r} does not end within its sentence.")
        if words and split.tags is not None:
            split.tokens.append(list(words))
            split.tags.append(list(tags))
        words.clear()
        tags.clear()

    for number, line in enumerate(lines_of(read_plain(path)), 1):
        if line.startswith(("#begin", "#end")) or not line.strip():
            close()
            continue
        cells = line.split()
        if len(cells) < 12:
            raise UserError(
                f"{path}, line {number}: {len(cells)} columns, CoNLL-2012 has at least 12."
            )
        words.append(cells[3])
        tag, inside = from_brackets(cells[10], inside)
        tags.append(tag)
    close()


def from_brackets(cell: str, inside: str) -> tuple[str, str]:
    """The BIO tag of one bracket cell, and the entity that stays open after it.

    ``(PERSON*`` opens, ``*)`` closes, ``(GPE)`` does both.
    """
    tag = f"I-{inside}" if inside else "O"
    if cell.startswith("("):
        inside = cell.strip("(*)")
        tag = f"B-{inside}"
    return tag, "" if cell.endswith(")") else inside


if __name__ == "__main__":
    sys.exit(main(__doc__, "ner_tags", reader=read_ontonotes))
