"""The columns of a parquet part: the same in every part, whatever a block holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenexit.data.corpus.parquet import open_parquet
from tokenexit.errors import UserError
from tokenexit.workflows.corpus.served import Served

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenexit.workflows.corpus.plan import Plan

ROW, ERROR = "row", "error"
"""Columns of a record's place in the corpus, and of what is wrong with a row without an answer."""


def schema_of(plan: Plan, served: Served) -> pa.Schema:
    """All columns of a part: the row, what is kept of it, and the answer."""
    import pyarrow as pa

    kept = dict.fromkeys(plan.columns.keep, pa.string())
    if plan.corpus.format == "parquet" and kept:
        first = next(file for file in plan.corpus.files if file.rows)
        with open_parquet(first.path) as file:
            kept = {name: file.schema_arrow.field(name).type for name in kept}
    results = served.task.answer_fields(served.labels, plan.columns.pair is not None)
    return pa.schema(list({ROW: pa.int64(), **kept, **results, ERROR: pa.string()}.items()))


def check_kept(plan: Plan, served: Served) -> None:
    """Refuse to keep a column under the name of something that is answered.

    Raises:
        UserError: Names it.
    """
    answers = served.task.answer_fields(served.labels, plan.columns.pair is not None)
    names = {ROW, ERROR, "entities", *answers}
    for name in plan.columns.keep:
        if name in names:
            raise UserError(
                f"The column {name!r} cannot be kept: the answers have one of that name. Rename it "
                "in the corpus, or join by the row afterwards."
            )


def plain(value: Any) -> Any:
    """A value of the corpus as JSON has it: what it has none for, as text."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | None) else str(value)


def as_text(value: Any) -> str | None:
    """A value of JSON as text, for a column that may hold anything."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
