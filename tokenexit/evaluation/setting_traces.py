"""Where rows leave at each setting of the curve: what the slider of a report moves over."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np

from tokenexit.evaluation.curve import CurveRow
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.extras import require_libraries
from tokenexit.files import replacing
from tokenexit.halting import Trace

MOST = 400
"""Texts that are kept, at even distances of all."""

MOVED = ("full", "engine")
"""Kinds of points that a threshold leads to."""


class SettingTraces:
    """Collects the traces of a curve's settings, of a sample of the texts.

    Args:
        most: Texts to keep.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._parts: list[dict[str, Any]] = []

    def add(self, point: CurveRow, trace: Trace | TextTrace) -> None:
        """Keep a run of the engine, if turning the threshold leads to it.

        Args:
            point: What was measured of it.
            trace: The run.
        """
        if point.kind in MOVED:
            columns = _columns(trace, self._chosen(trace))
            self._parts.append({"policy": [point.policy] * len(columns["text"]), **columns})

    def save(self, path: Path) -> None:
        """Write one row a setting and word or token as parquet; nothing of a single setting.

        Args:
            path: The file.
        """
        if len(self._parts) < 2:
            path.unlink(missing_ok=True)  # of an earlier policy
            return
        require_libraries("pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = [pa.table(part) for part in self._parts]
        with replacing(path) as partial:
            pq.write_table(pa.concat_tables(tables), partial, compression="zstd")

    def _chosen(self, trace: Trace | TextTrace) -> np.ndarray:
        texts = np.unique(np.asarray(trace.text))
        if len(texts) <= self._most:
            return texts
        return texts[np.linspace(0, len(texts) - 1, self._most).astype(int)]


@singledispatch
def _columns(trace: Trace | TextTrace, texts: np.ndarray) -> dict[str, Any]:
    raise TypeError(type(trace).__name__)


@_columns.register
def _of_words(trace: Trace, texts: np.ndarray) -> dict[str, Any]:
    kept = np.isin(trace.text, texts)
    names = ("text", "position", "exit_layer", "prediction")
    return {name: getattr(trace, name)[kept] for name in names}


@_columns.register
def _of_texts(trace: TextTrace, texts: np.ndarray) -> dict[str, Any]:
    wanted = set(texts.tolist())
    rows = [
        (number, place, layer, token)
        for number, output in zip(trace.text, trace.outputs, strict=True)
        if number in wanted
        for place, (layer, token) in enumerate(zip(output.exit_layers, output.tokens, strict=True))
    ]
    names = ("text", "position", "exit_layer", "word")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}
