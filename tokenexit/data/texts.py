"""Labelled texts, or pairs of texts, whatever the data looked like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError

FIRST = ("sentence", "text", "sentence1", "premise", "question", "question1")
SECOND = ("sentence2", "text_pair", "hypothesis", "passage", "question2")
LABEL = ("label", "labels", "intent", "class")


@dataclass(frozen=True)
class TextSplit(TaggedSplit):
    """Texts of one split: tagged sentences of one word each, which is a whole text.

    Attributes:
        tokens: Each text as a list of one string, or two of a pair.
        tags: Its label, in a list of one.
    """

    @property
    def num_words(self) -> int:
        """Texts."""
        return len(self)

    @property
    def words(self) -> list[str]:
        """What stands for each text in a trace; the parts of a pair with a bar between."""
        return [" | ".join(parts) for parts in self.tokens]


def read_texts(
    source: str | Path,
    *,
    column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = "label",
    name: str | None = None,
    revision: str | None = None,
) -> dict[str, TextSplit]:
    """Read every split of a data set of labelled texts.

    Args:
        source: File, folder or Hub id, as in `tokenexit.data.source.load_splits`.
        column: Column of the texts; the usual names are tried when None.
        pair_column: Column of the second texts; the usual names are tried when None, and pairs
            are read where there is one.
        label_column: Column of the labels, strings or ``ClassLabel``; None reads texts alone.
        name: Configuration or sub-folder.
        revision: Of a Hub data set.

    Raises:
        UserError: The source cannot be read, a column is missing, or a row is malformed.
    """
    from tokenexit.data.source import load_splits

    splits = {}
    for split, dataset in load_splits(source, name=name, revision=revision).items():
        origin = str(source) if split == "all" else f"{source} [{split}]"
        first = _column(dataset, (column,) if column else FIRST, "texts", origin)
        second = next((n for n in SECOND if n in dataset.column_names and n != first), None)
        if pair_column:
            second = _column(dataset, (pair_column,), "second texts", origin)
        names = [n for n in (first, second) if n]
        values = [_strings(dataset, n, origin) for n in names]
        tags = None
        if label_column is not None:
            wanted = LABEL if label_column == "label" else (label_column,)
            tags = _labels(dataset, _column(dataset, wanted, "labels", origin), origin)
        splits[split] = TextSplit([list(row) for row in zip(*values, strict=True)], tags, origin)
    return splits


def _column(dataset: Any, names: tuple[str, ...], what: str, origin: str) -> str:
    for name in names:
        if name in dataset.column_names:
            return name
    raise UserError(
        f"{origin} has no column for the {what} (looked for {', '.join(names)}); it has: "
        f"{', '.join(dataset.column_names)}. Name it with column=, pair_column= or label_column=."
    )


def _strings(dataset: Any, column: str, origin: str) -> list[str]:
    values = dataset.select_columns([column])[:][column]
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise UserError(
                f"{origin}, row {row}, column {column!r}: {value!r} is no text. Mend or drop "
                "this row; of pairs, every row needs both."
            )
    return values


def _labels(dataset: Any, column: str, origin: str) -> list[list[str]]:
    from datasets import ClassLabel

    values = dataset.select_columns([column])[:][column]
    feature = dataset.features[column]
    names = dict(enumerate(feature.names)) if isinstance(feature, ClassLabel) else {}
    found = []
    for row, value in enumerate(values):
        label = names.get(value, value)
        if isinstance(label, float):
            raise UserError(
                f"{origin}, row {row}, column {column!r}: the label {label!r} is a number with a "
                "fraction. Classifiers need classes: strings, whole numbers or ClassLabel."
            )
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise UserError(f"{origin}, row {row}, column {column!r}: {label!r} is no label.")
        if isinstance(label, int) and label < 0:
            raise UserError(
                f"{origin}, row {row}, column {column!r}: the label is {label}, which usually "
                "means that it was never published. Use another split."
            )
        found.append([str(label)])
    return found
