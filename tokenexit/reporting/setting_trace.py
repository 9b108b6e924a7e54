"""Where rows left at each setting of the threshold, as evaluation saved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.reporting.files import AGAIN, check_columns, whole_column
from tokenexit.reporting.word_trace import MOST

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("policy", "text", "position", "exit_layer")


class Moved(NamedTuple):
    """One text at one setting.

    Attributes:
        exit_layer: Layer at which each row left, ``[R]``.
        said: Predicted classes or numbers, or the tokens that were written, ``[R]``.
    """

    exit_layer: NDArray[np.int64]
    said: NDArray[Any]


@dataclass(frozen=True, eq=False)
class SettingTrace:
    """Rows of a sample of the texts under several settings, in order of setting and text.

    Attributes:
        policies: The settings as JSON text, from strict to loose as they were run.
        setting: Number of each row's setting, ``[R]``.
        text: Its text, ``[R]``.
        exit_layer: Layer at which it left, ``[R]``.
        said: See ``Moved``.
    """

    policies: Sequence[str]
    setting: NDArray[np.int64]
    text: NDArray[np.int64]
    exit_layer: NDArray[np.int64]
    said: NDArray[Any]

    @cached_property
    def texts(self) -> set[int]:
        """Texts that every setting has."""
        held = [set(self.text[self.setting == n].tolist()) for n in range(len(self.policies))]
        return set.intersection(*held) if held else set()

    def of(self, setting: int, text: int) -> Moved:
        """One text at one setting."""
        rows = self._place.get((setting, text), slice(0, 0))
        return Moved(self.exit_layer[rows], self.said[rows])

    @cached_property
    def _place(self) -> dict[tuple[int, int], slice]:
        keys = np.stack([self.setting, self.text], axis=1)
        starts = np.flatnonzero((np.diff(keys, axis=0, prepend=-1) != 0).any(axis=1)).tolist()
        ends = [*starts[1:], len(keys)]
        return {
            (int(keys[start, 0]), int(keys[start, 1])): slice(start, end)
            for start, end in zip(starts, ends, strict=True)
        }


def setting_trace_of(table: pa.Table, path: Path) -> SettingTrace:
    """Sort out a trace.

    Raises:
        UserError: It lacks a column, or one holds something else than it should.
    """
    generated = "word" in table.column_names
    check_columns(table.column_names, (*COLUMNS, "word" if generated else "prediction"), path)
    text, position, layer = (
        whole_column(table, name, low, MOST, path)
        for name, low in (("text", 0), ("position", 0), ("exit_layer", 1))
    )
    told = [str(policy) for policy in table.column("policy").to_pylist()]
    policies = list(dict.fromkeys(told))
    place = {policy: number for number, policy in enumerate(policies)}
    setting = np.array([place[policy] for policy in told], dtype=np.int64)
    said = np.array(table.column("word" if generated else "prediction").to_pylist(), dtype=object)
    if not generated:
        said = _numbers(said, path)
    order = np.lexsort((position, text, setting))
    return SettingTrace(policies, setting[order], text[order], layer[order], said[order])


def _numbers(said: NDArray[Any], path: Path) -> NDArray[Any]:
    try:
        found = said.astype(np.float64)
        whole = bool((found == found.astype(np.int64)).all())
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: the column prediction holds no numbers. {AGAIN}") from error
    return found.astype(np.int64) if whole else found
