"""What the columns of a CoNLL file are, told from what stands in them."""

from __future__ import annotations

import re

from tokenexit.data.bio import is_bio

Sentences = list[list[tuple[str, ...]]]
"""Cells of each word of each sentence; all words have as many."""
_ID = re.compile(r"\d+([-.]\d+)?")


def is_conllu(sentences: Sentences) -> bool:
    """Whether this is CoNLL-U (or CoNLL-X) under another name: ten columns, ids first."""
    return len(sentences[0][0]) == 10 and all(
        _ID.fullmatch(cells[0]) for rows in sentences for cells in rows
    )


def is_conll2012(sentences: Sentences) -> bool:
    """Whether the first columns are document, part and number of the word, as in OntoNotes."""
    return len(sentences[0][0]) > 10 and all(
        cells[2] == str(number) for rows in sentences for number, cells in enumerate(rows)
    )


def is_numbered(sentences: Sentences) -> bool:
    """Whether the first column counts the words of each sentence; numbers may be words."""
    return max(map(len, sentences)) > 2 and all(
        cells[0] == str(number) for rows in sentences for number, cells in enumerate(rows, 1)
    )


def places(sentences: Sentences) -> dict[str, int]:
    """Place of each column that is known for what it is."""
    width = len(sentences[0][0])
    if width == 2:
        return {"tokens": 0, "tags": 1}
    second, last = ({cells[place] for rows in sentences for cells in rows} for place in (1, -1))
    if is_bio(second) and not is_bio(last):  # Universal NER
        return {"tokens": 0, "ner_tags": 1}
    if width > 4:  # the second may be a lemma, as in the German CoNLL-2003
        return {"tokens": 0, "ner_tags": -1}
    return {"tokens": 0, "pos_tags": 1, "ner_tags": -1}
