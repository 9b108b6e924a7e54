"""The texts of a saved trace of a generator: token by token, with what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.reporting.files import check_columns, whole_column
from tokenexit.reporting.word_trace import MOST
from tokenexit.wording.subwords import Marking, marking

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("text", "position", "word", "exit_layer")
LABELLED = ("prediction", "confidence", "gold")
"""Columns that only traces of taggers have."""

RARE = 0.05
"""Share of the texts that has to reach a place for its mean to be shown."""


@dataclass(frozen=True)
class GeneratedText:
    """One text.

    Attributes:
        number: Of its source.
        tokens: As the vocabulary writes them.
        exit_layers: Layer at which each one left, from 1.
        source: What it was written for, if known.
        reference: What a human wrote, if known.
        full: Tokens that the full depth wrote, if known.
        oracle: Layer at which the oracle lets each of those leave, if known.
    """

    number: int
    tokens: list[str]
    exit_layers: list[int]
    source: str | None
    reference: str | None
    full: list[str] | None
    oracle: list[int] | None = None


@dataclass(frozen=True, eq=False)
class GeneratedTrace:
    """All texts, by number.

    Attributes:
        texts: The texts.
        position: Place of each token in its text, from 0, text after text.
        exit_layer: Layer at which each one left.
    """

    texts: Sequence[GeneratedText]
    position: NDArray[np.int64]
    exit_layer: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.exit_layer)

    @cached_property
    def marking(self) -> Marking:
        """How the vocabulary marks spaces."""
        return marking(token for text in self.texts for token in text.tokens)

    @property
    def compared(self) -> bool:
        """Whether the output of the full depth is known."""
        return any(text.full is not None for text in self.texts)

    def by_position(self) -> list[tuple[int, float, int]]:
        """Place from 1, mean exit layer and count of its tokens, without rare places."""
        counts = np.bincount(self.position)
        sums = np.bincount(self.position, weights=self.exit_layer)
        return [
            (place + 1, float(sums[place] / count), int(count))
            for place, count in enumerate(counts.tolist())
            if count and count >= RARE * len(self.texts)
        ]


def is_generated(table: pa.Table) -> bool:
    """Whether a trace is a generator's."""
    return not set(LABELLED) & set(table.column_names)


def generated_trace_of(table: pa.Table, path: Path) -> GeneratedTrace:
    """Sort out a trace.

    Raises:
        UserError: It lacks a column.
    """
    check_columns(table.column_names, COLUMNS, path)
    columns: dict[str, NDArray[Any]] = {
        name: whole_column(table, name, low, MOST, path)
        for name, low in (("text", 0), ("position", 0), ("exit_layer", 0))
    }
    order = np.lexsort((columns["position"], columns["text"]))
    text, position, layer = (columns[n][order] for n in ("text", "position", "exit_layer"))
    beside: dict[str, list[Any]] = {
        name: table.column(name).to_pylist() if name in table.column_names else [None] * len(text)
        for name in ("word", "source", "reference", "full_depth", "full_depth_oracle")
    }
    rows, layers = order.tolist(), layer.tolist()
    starts = np.flatnonzero(np.diff(text, prepend=-1)).tolist()
    ends = [*starts, len(rows)][1:]
    texts = [
        GeneratedText(
            number=int(text[start]),
            tokens=[str(beside["word"][row]) for row in rows[start:end]],
            exit_layers=layers[start:end],
            source=beside["source"][rows[start]],
            reference=beside["reference"][rows[start]],
            full=beside["full_depth"][rows[start]],
            oracle=beside["full_depth_oracle"][rows[start]],
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    return GeneratedTrace(texts, position, layer)
