"""Labelled or scored texts, or pairs of texts, whatever the data looked like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from tokenexit.data.labels import (
    UNLABELLED,
    ReadLabel,
    class_label,
    number_label,
    read_labels,
)
from tokenexit.data.table import Table, check_apart, check_texts, listed
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

    read_label: ClassVar[ReadLabel] = staticmethod(class_label)
    """What makes a label of a value in a column."""

    @property
    def num_words(self) -> int:
        """Texts."""
        return len(self)

    @property
    def words(self) -> list[str]:
        """What stands for each text in a trace; the parts of a pair with a bar between."""
        return [" | ".join(parts) for parts in self.tokens]

    def labelled(self, having: bool = True) -> Self:
        """The texts that have a label, or those that have none."""
        known = [row != [UNLABELLED] for row in self.tags or [[UNLABELLED]] * len(self)]
        return self.take([row for row, there in enumerate(known) if there == having])


@dataclass(frozen=True)
class ScoredSplit(TextSplit):
    """Texts with a number each, for regression; ``tags`` hold it as text."""

    read_label: ClassVar[ReadLabel] = staticmethod(number_label)

    @property
    def values(self) -> list[list[float]]:
        """The number of each text, in a list of one; NaN where there is none."""
        return [
            [math.nan if value == UNLABELLED else float(value) for value in row]
            for row in self.tags or []
        ]


def read_texts(
    source: str | Path,
    *,
    column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = "label",
    name: str | None = None,
    revision: str | None = None,
    regression: bool = False,
    unlabelled: bool = False,
    kind: type[TextSplit] = TextSplit,
) -> dict[str, TextSplit]:
    """Read every split of a data set of labelled texts.

    A training text may have no label (null, or an empty string): it gets ``UNLABELLED``.

    Args:
        source: File, folder or Hub id, as in `tokenexit.data.source.load_splits`.
        column: Column of the texts; the usual names are tried when None.
        pair_column: Column of the second texts; the usual names are tried when None, and pairs
            are read where there is one.
        label_column: Column of the labels; None reads texts alone. Text is a label as it is
            written, a whole number by its digits, ``ClassLabel`` by its names.
        name: Configuration or sub-folder.
        revision: Of a Hub data set.
        regression: Labels are numbers; the splits are then ``ScoredSplit``.
        unlabelled: Whether a lone file, which has no name of a split, may hold texts without a
            label as well.
        kind: What labelled texts are read into, which says how a label is read.

    Raises:
        UserError: The source cannot be read, a column is missing, or a row is malformed.
    """
    from tokenexit.data.source import load_splits

    kind = ScoredSplit if regression else kind
    splits = {}
    for split, table in load_splits(source, name=name, revision=revision).items():
        origin = str(source) if split == "all" else f"{source} [{split}]"
        first = _column(table, (column,) if column else FIRST, "texts", origin)
        second = next((n for n in SECOND if n in table.column_names and n != first), None)
        if pair_column:
            second = _column(table, (pair_column,), "second texts", origin)
        asked = {"texts": first, "second texts": second}
        names = [n for n in (first, second) if n]
        values = [_strings(table, n, origin) for n in names]
        tags = None
        if label_column is not None:
            wanted = LABEL if label_column == "label" else (label_column,)
            found = _column(table, wanted, "labels", origin)
            asked["labels"] = found
            missing = split == "train" or (unlabelled and split == "all")
            tags = read_labels(table, found, origin, missing=missing, read=kind.read_label)
        check_apart(asked, origin)
        made = TextSplit if tags is None else kind
        splits[split] = made([list(row) for row in zip(*values, strict=True)], tags, origin)
    return splits


def _column(table: Table, names: tuple[str, ...], what: str, origin: str) -> str:
    for name in names:
        if name in table.column_names:
            return name
    raise UserError(
        f"{origin} has no column for the {what} (looked for {', '.join(names)}); it has: "
        f"{listed(table.column_names)}. Name it with column=, pair_column= or label_column= "
        "(--column, --pair-column or --label-column on the command line)."
        f"{table.hint}"
    )


def _strings(table: Table, column: str, origin: str) -> list[str]:
    values = table.column(column)
    check_texts(values, origin, f"column {column!r}", "; of pairs, every row needs both")
    return values
