"""Which document each text is from, where a column says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tokenexit.data.pairs import PairSplit
from tokenexit.data.table import listed
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError

S = TypeVar("S", TaggedSplit, PairSplit)


def with_groups(
    splits: Mapping[str, S], source: str | Path, column: str | None, name: str | None = None
) -> dict[str, S]:
    """Splits whose texts know their documents.

    Args:
        splits: Of a data set, as it was read.
        source: The data set.
        column: Its column of documents: names or numbers, the same for texts of one document. None
            changes nothing. Training texts need not have it.
        name: Configuration or sub-folder.

    Raises:
        UserError: There is no such column, a row has no document, or rows were left out.
    """
    from tokenexit.data.source import load_splits

    if column is None:
        return dict(splits)
    tables, found = load_splits(source, name=name), dict(splits)
    for split, texts in splits.items():
        table = tables[split]
        if column not in table.column_names:
            if split == "train":
                continue
            raise UserError(
                f"{texts.origin} has no column {column!r} of documents; it has: "
                f"{listed(table.column_names)}. Name another with group_column= (--group-column on "
                "the command line), or leave it out."
            )
        groups = table.column(column)
        missing = next((row for row, value in enumerate(groups) if value is None), None)
        if missing is not None:
            raise UserError(
                f"{texts.origin}, row {missing}, column {column!r}: no document. Give every text "
                "one; a text of its own may have a name of its own."
            )
        if len(groups) != len(texts):
            raise UserError(
                f"{texts.origin} has {len(groups)} rows and {len(texts)} texts, so that column "
                f"{column!r} does not say which is from which document."
            )
        found[split] = replace(texts, groups=[str(value) for value in groups])
    return found
