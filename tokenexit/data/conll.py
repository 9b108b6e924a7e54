"""CoNLL column files and CoNLL-U, with malformed rows reported by line.

An own reader because the builder in `datasets` pads short lines without a word and takes the
multiword ranges of CoNLL-U for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tokenexit.errors import UserError

Columns = dict[str, list[list[str]]]
_SHOWN = 3


def read_conll(path: Path | str) -> Columns:
    """Read one word a line, columns split by tabs or blanks, an empty line between sentences.

    Two columns (WNUT-17) are word and tag, and give ``tokens`` and ``tags``. More columns
    (CoNLL-2003, CoNLL-2000) give ``tokens``, ``pos_tags`` (the second column) and ``ner_tags``
    (the last). ``-DOCSTART-`` lines are dropped.

    Raises:
        UserError: A row has fewer or more columns than the first one, or nothing is there.
    """
    path = Path(path)
    sentences: list[list[list[str]]] = [[]]
    problems: list[str] = []
    width = 0
    for number, line in _lines(path):
        if not line.strip():
            sentences.append([])
            continue
        # Only tab and blank part columns: a no-break space can be a word.
        cells = line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))
        if cells[0] == "-DOCSTART-":
            continue
        width = width or len(cells)
        if width < 2:
            problems.append(f"line {number}: one column, at least a word and a tag are needed")
            break
        if len(cells) != width:
            problems.append(f"line {number}: {len(cells)} columns where {width} were: {line!r}")
        elif not cells[0].strip(" ") or not cells[-1].strip():
            problems.append(f"line {number}: the word or the tag is empty: {line!r}")
        sentences[-1].append(cells)
    kept = _checked(path, sentences, problems)
    if width == 2:
        return _table(kept, {"tokens": 0, "tags": 1})
    return _table(kept, {"tokens": 0, "pos_tags": 1, "ner_tags": -1})


def read_conllu(path: Path | str) -> Columns:
    """Read CoNLL-U: ``tokens`` from FORM and ``pos_tags`` from UPOS.

    Comments, multiword ranges (``2-3``) and empty nodes (``5.1``) are skipped.

    Raises:
        UserError: A row does not have ten columns, its id is no number, or it has no UPOS.
    """
    path = Path(path)
    sentences: list[list[list[str]]] = [[]]
    problems: list[str] = []
    for number, line in _lines(path):
        if not line.strip():
            sentences.append([])
            continue
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if re.fullmatch(r"\d+[-.]\d+", cells[0]):
            continue
        if len(cells) != 10:
            problems.append(f"line {number}: {len(cells)} columns, CoNLL-U has 10: {line!r}")
        elif not cells[0].isdecimal():
            problems.append(f"line {number}: the id {cells[0]!r} is not a number")
        elif not cells[1] or cells[3] in ("", "_"):
            problems.append(f"line {number}: no FORM or no UPOS: {line!r}")
        sentences[-1].append(cells)
    return _table(_checked(path, sentences, problems), {"tokens": 1, "pos_tags": 3})


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        # Iterating the file breaks at line ends only; str.splitlines would also break words.
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                yield number, line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason}); convert it first.") from error


def _checked(
    path: Path, sentences: list[list[list[str]]], problems: list[str]
) -> list[list[list[str]]]:
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError(
            f"{path} has {len(problems)} malformed row(s): "
            f"{'; '.join(problems[:_SHOWN])}{more}. Mend or delete these lines."
        )
    kept = [rows for rows in sentences if rows]
    if not kept:
        raise UserError(f"{path} holds no sentence; expected one word a line with its tags.")
    return kept


def _table(sentences: list[list[list[str]]], places: dict[str, int]) -> Columns:
    return {
        name: [[row[place] for row in rows] for rows in sentences] for name, place in places.items()
    }
