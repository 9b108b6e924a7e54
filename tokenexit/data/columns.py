"""Words and tags out of a data set's columns, checked row by row."""

from __future__ import annotations

from typing import Any

from tokenexit.data.table import Table, check_apart, described, listed, shown
from tokenexit.errors import UserError

TOKEN_COLUMNS = ("tokens", "words")
TAG_COLUMNS = {
    "ner_tags": ("ner_tags", "ner", "tags", "labels"),
    "pos_tags": ("pos_tags", "upos", "upos_tags", "pos", "tags", "labels"),
}


def is_entity_column(column: str) -> bool:
    """Whether a column of this name must hold BIO tags."""
    return column in ("ner_tags", "ner")


def is_word_class_column(column: str) -> bool:
    """Whether a column of this name holds parts of speech, which are in no tagging scheme."""
    return column in ("pos_tags", "upos", "upos_tags", "pos")


def read_split(
    table: Table, column: str | None, origin: str
) -> tuple[list[list[str]], list[list[str]] | None]:
    """Words and, unless ``column`` is None, string tags of every row.

    ``ClassLabel`` ids become their names.

    Raises:
        UserError: A column is missing, or a row does not hold as many tags as words.
    """
    word_column = _find(table, TOKEN_COLUMNS, "words", origin)
    words: list[list[str]] = table.column(word_column)
    for row, sentence in enumerate(words):
        where = f"{origin}, row {row}, column {word_column!r}"
        if table.only_text:
            raise UserError(f"{where}: {shown(sentence)} is text and no list of words.{_PER_WORD}")
        _check_strings(sentence, where, "words")
    if column is None:
        return words, None
    tag_column = _find(table, TAG_COLUMNS.get(column, (column,)), "tags", origin)
    check_apart({"words": word_column, "tags": tag_column}, origin)
    tags = _names(table, tag_column, origin)
    for row, (sentence, labels) in enumerate(zip(words, tags, strict=True)):
        where = f"{origin}, row {row}, column {tag_column!r}"
        _check_strings(labels, where, "tags")
        if len(sentence) != len(labels):
            raise UserError(
                f"{where}: {len(sentence)} words but {len(labels)} tags; each word needs one."
            )
    return words, tags


_PER_WORD = (
    " CSV and TSV cannot hold lists. A file of one word a row is read as CoNLL columns: word, tab, "
    "tag, without a first line of names, an empty line between sentences, saved as .conll. Else "
    'write JSON lines: {"tokens": ["Ada", "ran"], "ner_tags": ["B-PER", "O"]}.'
)
_SPANS = (
    " Texts with spans marked by character offsets (doccano, spaCy, Label Studio) have to become "
    "words and one tag for each first; spacy.training.offsets_to_biluo_tags does so, and its tags "
    "are converted to BIO when they are read (convert_tags=true, --convert-tags)."
)
_WORD_LIKE = frozenset(("word", "token", "sentence #", "sentence_id", "tag"))
_TEXT_LIKE = frozenset(("text", "data", "content", "sentence", "raw"))
_SPAN_LIKE = frozenset(("entities", "spans", "label", "labels", "annotations", "ents"))


def _find(table: Table, names: tuple[str, ...], what: str, origin: str) -> str:
    for name in names:
        if name in table.column_names:
            return name
    others = [n for n in table.column_names if n.endswith(("tags", "pos", "labels", "ner"))]
    hint = f" For another column of tags say column={others[0]}." if others else ""
    if what == "words":
        hint = " Words must be split already: a list of strings in each row."
        there = {name.lower() for name in table.column_names}
        if table.only_text or there & _WORD_LIKE:
            hint = _PER_WORD
        elif there & _TEXT_LIKE and there & _SPAN_LIKE:
            hint += _SPANS
    elif not others and _SPAN_LIKE & set(table.column_names):
        hint = _SPANS
    raise UserError(
        f"{origin} has no column for the {what} (looked for {', '.join(names)}); "
        f"it has: {listed(table.column_names)}.{hint}"
    )


def _names(table: Table, column: str, origin: str) -> list[Any]:
    rows, names = table.column(column), table.class_names(column)
    if names is not None:
        return [
            _named(tags, names, f"{origin}, row {row}, column {column!r}")
            for row, tags in enumerate(rows)
        ]
    for row, tags in enumerate(rows[:100]):
        if isinstance(tags, list) and any(isinstance(tag, int) for tag in tags):
            raise UserError(
                f"{origin}, row {row}, column {column!r}: the tags are numbers without names. "
                "Store them as strings, or as ClassLabel (which parquet keeps and JSON loses)."
            )
    return rows


def _named(tags: Any, names: tuple[str, ...], where: str) -> Any:
    try:
        return tags and [names[tag] if tag >= 0 else names[len(names)] for tag in tags]
    except (IndexError, TypeError):
        wrong = next(t for t in tags if not isinstance(t, int) or not 0 <= t < len(names))
        raise UserError(
            f"{where}: {wrong!r} among the tags, which have {len(names)} names: numbers from 0 to "
            f"{len(names) - 1}. Mend or drop this row."
        ) from None


def _check_strings(values: Any, where: str, what: str) -> None:
    if not isinstance(values, list):
        raise UserError(
            f"{where}: expected a list of {what}, not {described(values)}. Write one list of "
            "strings a row, or drop this row."
        )
    for value in values:
        if not isinstance(value, str):
            raise UserError(
                f"{where}: {shown(value)} among the {what}; every one must be a string. "
                "Mend or drop this row."
            )
