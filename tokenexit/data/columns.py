"""Words and tags out of a data set's columns, checked row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

TOKEN_COLUMNS = ("tokens", "words")
TAG_COLUMNS = {
    "ner_tags": ("ner_tags", "ner", "tags", "labels"),
    "pos_tags": ("pos_tags", "upos", "upos_tags", "pos", "tags", "labels"),
}


def is_entity_column(column: str) -> bool:
    """Whether a column of this name must hold BIO tags."""
    return column in ("ner_tags", "ner")


def read_split(
    dataset: Dataset, column: str | None, origin: str
) -> tuple[list[list[str]], list[list[str]] | None]:
    """Words and, unless ``column`` is None, string tags of every row.

    ``ClassLabel`` ids become their names.

    Raises:
        UserError: A column is missing, or a row does not hold as many tags as words.
    """
    word_column = _find(dataset, TOKEN_COLUMNS, "words", origin)
    words: list[list[str]] = _values(dataset, word_column)
    for row, sentence in enumerate(words):
        _check_strings(sentence, f"{origin}, row {row}, column {word_column!r}", "words")
    if column is None:
        return words, None
    tag_column = _find(dataset, TAG_COLUMNS.get(column, (column,)), "tags", origin)
    tags = _names(dataset, tag_column, _values(dataset, tag_column), origin)
    for row, (sentence, labels) in enumerate(zip(words, tags, strict=True)):
        where = f"{origin}, row {row}, column {tag_column!r}"
        _check_strings(labels, where, "tags")
        if len(sentence) != len(labels):
            raise UserError(
                f"{where}: {len(sentence)} words but {len(labels)} tags; each word needs one."
            )
    return words, tags


def _find(dataset: Dataset, names: tuple[str, ...], what: str, origin: str) -> str:
    for name in names:
        if name in dataset.column_names:
            return name
    others = [n for n in dataset.column_names if n.endswith(("tags", "pos", "labels", "ner"))]
    hint = f" For another column of tags say column={others[0]}." if others else ""
    if what == "words":
        hint = " Words must be split already: a list of strings in each row."
    raise UserError(
        f"{origin} has no column for the {what} (looked for {', '.join(names)}); "
        f"it has: {', '.join(dataset.column_names)}.{hint}"
    )


def _values(dataset: Dataset, column: str) -> list[Any]:
    return dataset.select_columns([column])[:][column]


def _names(dataset: Dataset, column: str, rows: list[Any], origin: str) -> list[Any]:
    from datasets import ClassLabel

    inner = getattr(dataset.features[column], "feature", None)
    if isinstance(inner, ClassLabel) and inner.names:
        names = dict(enumerate(inner.names))
        # An id without a name stays a number, and the check of the row reports it.
        return [row and [names.get(tag, tag) for tag in row] for row in rows]
    if any(isinstance(tag, int) for row in rows[:100] for tag in row or ()):
        raise UserError(
            f"{origin}, column {column!r}: the tags are numbers without names. Store them as "
            "strings, or as ClassLabel (which parquet keeps and JSON loses)."
        )
    return rows


def _check_strings(values: Any, where: str, what: str) -> None:
    if not isinstance(values, list):
        raise UserError(
            f"{where}: expected a list of {what}, not {type(values).__name__} {str(values)[:40]!r}."
        )
    for value in values:
        if not isinstance(value, str):
            raise UserError(
                f"{where}: {value!r} among the {what}; every one must be a string. "
                "Mend or drop this row."
            )
