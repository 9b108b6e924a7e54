"""The words of a saved trace: where each one left, and whether it was right."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.halting.trace import ROW_FIELDS, WordRows
from tokenexit.reporting.files import AGAIN, check_columns, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

BESIDE = ("oracle_layer", "top_class", "exit_class")
"""Columns that a trace with an oracle has too."""

MOST = 10**9
"""Texts, places and layers that no trace has."""

UNKNOWN = -100
"""The gold class of a word without one."""


@dataclass(frozen=True, eq=False)
class WordTrace(WordRows):
    """Words of a trace, sorted by text and position; unknown labels are all -1.

    Attributes:
        word: The word itself.
        oracle_layer: Layer at which the oracle lets it leave; None where that was not saved.
        top_class: Class that the top names at full depth, likewise.
        exit_class: Class that the exit named at which it left, likewise.
        gold_code: Gold classes as evaluation numbers them, those that the model does not know
            included; None of numbers.
    """

    word: list[str]
    oracle_layer: NDArray[np.int64] | None = None
    top_class: NDArray[np.int64] | None = None
    exit_class: NDArray[np.int64] | None = None
    gold_code: NDArray[np.int64] | None = None

    @property
    def numbers(self) -> bool:
        """Whether numbers were told, rather than classes named."""
        return self.prediction.dtype.kind == "f"

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Words with a gold class or number."""
        return ~np.isnan(self.gold) if self.numbers else self.gold != UNKNOWN

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Words with a gold class other than the predicted one; a number is near or far."""
        return self.known & (self.prediction != self.gold) & (not self.numbers)

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """First and one past the last word of each text."""
        if not len(self):
            return []
        cuts = (np.flatnonzero(np.diff(self.text)) + 1).tolist()
        return list(zip([0, *cuts], [*cuts, len(self)], strict=True))

    def part(self, start: int, end: int) -> WordTrace:
        """Some of the words alone.

        Args:
            start: The first.
            end: One past the last.
        """
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        part: dict[str, Any] = {n: v if v is None else v[start:end] for n, v in held.items()}
        return WordTrace(**part)


def word_trace_of(table: pa.Table, path: Path) -> WordTrace:
    """Sort out a trace.

    Raises:
        UserError: It lacks a column, or one holds something else than it should.
    """
    check_columns(table.column_names, ROW_FIELDS, path)
    columns: dict[str, Any] = {
        name: whole_column(table, name, low, MOST, path)
        for name, low in (("text", 0), ("position", 0), ("exit_layer", 0))
    }
    try:
        told = {n: table.column(n).to_numpy() for n in ("prediction", "confidence", "gold")}
        columns |= {n: v if v.dtype.kind in "if" else v.astype(np.float64) for n, v in told.items()}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: what is predicted or gold is no number. {AGAIN}") from error
    order = np.lexsort((columns["position"], columns["text"]))
    if "word" in table.column_names:
        held = table.column("word").to_pylist()
        word = [str(held[row]) for row in order]
    else:
        word = [f"#{columns['position'][row] + 1}" for row in order]
    numbers = columns["prediction"].dtype.kind == "f"
    if not numbers:  # labels that the model does not know are one class to a reader
        gold = columns["gold_code"] = columns["gold"]
        columns["gold"] = np.where((gold < 0) & (gold != UNKNOWN), -1, gold)
    if set(BESIDE) <= set(table.column_names):
        columns |= {n: whole_column(table, n, n == BESIDE[0], MOST, path) for n in BESIDE}
    real = ("confidence", "prediction", "gold") if numbers else ("confidence",)
    return WordTrace(
        **{
            name: values[order].astype(np.float64 if name in real else np.int64)
            for name, values in columns.items()
        },
        word=word,
    )
