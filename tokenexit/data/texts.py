"""Labelled or scored texts, or pairs of texts, whatever the data looked like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError

FIRST = ("sentence", "text", "sentence1", "premise", "question", "question1")
SECOND = ("sentence2", "text_pair", "hypothesis", "passage", "question2")
LABEL = ("label", "labels", "intent", "class")
UNLABELLED = ""
"""The label of a training text that has none."""


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

    def labelled(self, having: bool = True) -> Self:
        """The texts that have a label, or those that have none."""
        known = [row != [UNLABELLED] for row in self.tags or [[UNLABELLED]] * len(self)]
        return self.take([row for row, there in enumerate(known) if there == having])


@dataclass(frozen=True)
class ScoredSplit(TextSplit):
    """Texts with a number each, for regression; ``tags`` hold it as text."""

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
) -> dict[str, TextSplit]:
    """Read every split of a data set of labelled texts.

    A training text may have no label (null, or an empty string): it gets ``UNLABELLED``.

    Args:
        source: File, folder or Hub id, as in `tokenexit.data.source.load_splits`.
        column: Column of the texts; the usual names are tried when None.
        pair_column: Column of the second texts; the usual names are tried when None, and pairs
            are read where there is one.
        label_column: Column of the labels, strings or ``ClassLabel``; None reads texts alone.
        name: Configuration or sub-folder.
        revision: Of a Hub data set.
        regression: Labels are numbers; the splits are then ``ScoredSplit``.
        unlabelled: Whether a lone file, which has no name of a split, may hold texts without a
            label as well.

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
            found = _column(dataset, wanted, "labels", origin)
            missing = split == "train" or (unlabelled and split == "all")
            tags = _labels(dataset, found, origin, missing, _value if regression else _label)
        kind = ScoredSplit if regression and tags is not None else TextSplit
        splits[split] = kind([list(row) for row in zip(*values, strict=True)], tags, origin)
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


def _labels(
    dataset: Any, column: str, origin: str, missing: bool, read: Callable[[Any, str], str]
) -> list[list[str]]:
    from datasets import ClassLabel

    values = dataset.select_columns([column])[:][column]
    feature = dataset.features[column]
    names = dict(enumerate(feature.names)) if isinstance(feature, ClassLabel) else {}
    found = []
    for row, value in enumerate(values):
        where = f"{origin}, row {row}, column {column!r}"
        if value is None or value == UNLABELLED:
            if not missing:
                raise UserError(
                    f"{where}: {value!r} is no label. Only texts of a train split may have none; "
                    "label or drop this row."
                )
            found.append([UNLABELLED])
        else:
            found.append([read(names.get(value, value), where)])
    return found


def _label(label: Any, where: str) -> str:
    if isinstance(label, float):
        raise UserError(
            f"{where}: the label {label!r} is a number with a fraction. Classifiers need classes: "
            "strings, whole numbers or ClassLabel. To learn the number itself say regression=true."
        )
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise UserError(f"{where}: {label!r} is no label.")
    if isinstance(label, int) and label < 0:
        raise UserError(
            f"{where}: the label is {label}, which usually means that it was never published. Use "
            "another split."
        )
    return str(label)


def _value(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(
            f"{where}: {value!r} is no number, and a regression learns numbers. Store them as "
            "numbers; of classes make a classifier, without regression=true."
        )
    return repr(float(value))
