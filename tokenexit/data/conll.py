"""CoNLL column files and CoNLL-U, with malformed rows reported by line.

An own reader because the builder in `datasets` pads short lines without a word and takes the
multiword ranges of CoNLL-U for words.
"""

from __future__ import annotations

import re
from pathlib import Path

from tokenexit.data.comments import is_comment
from tokenexit.data.conll_layout import Sentences, is_conll2012, is_conllu, is_numbered, places
from tokenexit.data.plain import lines_of, read_plain
from tokenexit.data.table import shown
from tokenexit.errors import UserError

Columns = dict[str, list[list[str]]]
Cells = tuple[str, ...]
"""Of one line. Not a list: the garbage collector would look at each again and again."""
Block = tuple[int, list[Cells]]
"""Number of the first line, and the cells of each line, one after another."""
_DOCUMENT = "-DOCSTART-"
_BREAK = (_DOCUMENT,)
_SHOWN = 3


def read_conll(path: Path | str) -> Columns:
    """Read one word a line, columns split by tabs or blanks, an empty line between sentences.

    Two columns (WNUT-17) are word and tag, and give ``tokens`` and ``tags``. Three or four
    (CoNLL-2000, CoNLL-2003) give ``tokens``, ``pos_tags`` (the second column) and ``ner_tags``
    (the last); more give no ``pos_tags``, which may stand anywhere. A first column that counts the
    words of each sentence is left out, and ten columns with ids are read as CoNLL-U.
    ``-DOCSTART-`` lines end a sentence and are dropped.

    A line that begins with ``#`` is a comment only before the first word of a sentence, and only
    if it is no row: ``# text = ...``, ``# newdoc``, or any other number of columns than rows
    have. ``#hashtag<TAB>O`` is a word anywhere. See `tokenexit.data.comments.is_comment`.

    Raises:
        UserError: A row has fewer or more columns than the first one, or nothing is there.
    """
    path = Path(path)
    lines = lines_of(read_plain(path))
    blocks = _without_comments(_blocks(lines), lines)
    width = len(blocks[0][1][0]) if blocks else 0
    if width == 1:
        problems = [f"line {blocks[0][0]}: one column, at least a word and a tag are needed"]
    else:
        problems = [
            _problem(start + place, lines, cells, width)
            for start, block in blocks
            for place, cells in enumerate(block)
            if len(cells) != width or not cells[0].strip(" ") or not cells[-1].strip()
        ]
    sentences = _checked(path, [block for _, block in blocks], problems)
    if is_conllu(sentences):
        return read_conllu(path)
    if is_conll2012(sentences):
        raise UserError(
            f"{path} looks like CoNLL-2012 (document, part, number, word, ...), which is not read "
            "as it is: data_scripts/prepare_ontonotes.py makes parquet files of it."
        )
    if width > 2 and is_numbered(sentences):
        sentences = [[cells[1:] for cells in rows] for rows in sentences]
    return _table(sentences, places(sentences))


def read_conllu(path: Path | str) -> Columns:
    """Read CoNLL-U: ``tokens`` from FORM and ``pos_tags`` from UPOS.

    Comments, multiword ranges (``2-3``) and empty nodes (``5.1``) are skipped.

    Raises:
        UserError: A row does not have ten columns, its id is no number, or it has no UPOS.
    """
    path = Path(path)
    sentences: Sentences = [[]]
    problems: list[str] = []
    for number, line in enumerate(lines_of(read_plain(path)), 1):
        if not line.strip():
            sentences.append([])
            continue
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if re.fullmatch(r"\d+[-.]\d+", cells[0]):
            continue
        if len(cells) != 10:
            problems.append(f"line {number}: {len(cells)} columns, CoNLL-U has 10: {shown(line)}")
        elif not cells[0].isdecimal():
            problems.append(f"line {number}: the id {shown(cells[0])} is not a number")
        elif not cells[1] or cells[3] in ("", "_"):
            problems.append(f"line {number}: no FORM or no UPOS: {shown(line)}")
        sentences[-1].append(tuple(cells))
    return _table(_checked(path, sentences, problems), {"tokens": 1, "pos_tags": 3})


def _blocks(lines: list[str]) -> list[Block]:
    """Rows between empty lines."""
    blocks: list[Block] = []
    block: list[Cells] = []
    for number, line in enumerate(lines, 1):
        cells = _cells(line) if line and not line.isspace() else _BREAK
        if cells[0] == _DOCUMENT:
            block = []
            continue
        if not block:
            blocks.append((number, block))
        block.append(cells)
    return blocks


def _cells(line: str) -> Cells:
    # Only tab and blank part columns: a no-break space can be a word.
    if "\t" not in line:
        return tuple(re.split(" +", line.strip(" ")))
    cells = line.split("\t")
    if " " not in line and cells[-1]:
        return tuple(cells)
    while len(cells) > 2 and not cells[-1].strip(" "):  # tabs behind the last column
        cells.pop()
    return (cells[0], *(cell.strip(" ") for cell in cells[1:]))


def _without_comments(blocks: list[Block], lines: list[str]) -> list[Block]:
    leads = [_leading(start, block, lines) for start, block in blocks]
    if not any(leads):
        return blocks
    pairs = list(zip(blocks, leads, strict=True))
    rows = [(start + lead, block[lead]) for (start, block), lead in pairs if lead < len(block)]
    start, block = blocks[0]  # where all lines begin so, the last before an empty one is a word
    number, cells = rows[0] if rows else (start + len(block) - 1, block[-1])
    width, tabs = len(cells), "\t" in lines[number - 1]
    # The tags of words for sure: a comment stands before the first word of a sentence.
    tags = {cells[-1] for (_, block), lead in pairs for cells in block[lead:]}
    kept = []
    for (start, block), lead in pairs:
        count = 0
        while count < lead and is_comment(
            lines[start + count - 1], block[count], width, tags, tabs
        ):
            count += 1
        if count < len(block):
            kept.append((start + count, block[count:]))
    return kept


def _leading(start: int, block: list[Cells], lines: list[str]) -> int:
    """Rows at the beginning whose lines begin with ``#``."""
    if not block[0][0].startswith("#"):
        return 0
    hashes = (place for place in range(len(block)) if lines[start + place - 1][:1] != "#")
    return next(hashes, len(block))


def _problem(number: int, lines: list[str], cells: Cells, width: int) -> str:
    line = shown(lines[number - 1])
    if len(cells) != width:
        return f"line {number}: {len(cells)} columns where {width} were: {line}"
    return f"line {number}: the word or the tag is empty: {line}"


def _checked(path: Path, sentences: Sentences, problems: list[str]) -> Sentences:
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError(
            f"{path} has {len(problems)} malformed row(s): "
            f"{'; '.join(problems[:_SHOWN])}{more}. Mend or delete these lines.{_running(path)}"
        )
    kept = [rows for rows in sentences if rows]
    if not kept:
        raise UserError(
            f"{path} holds no sentence; expected one word a line with its tags.{_running(path)}"
        )
    return kept


def _running(path: Path) -> str:
    if path.suffix.lower() != ".txt":
        return ""
    return " (.txt is read as CoNLL columns; running text goes into .jsonl, .csv or .tsv.)"


def _table(sentences: Sentences, places: dict[str, int]) -> Columns:
    return {
        name: [[row[place] for row in rows] for rows in sentences] for name, place in places.items()
    }
