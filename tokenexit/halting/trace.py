"""What a run did: where each word left, and how many rows each layer really worked on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenexit.extras import require_libraries
from tokenexit.files import replacing


class LayerWork(NamedTuple):
    """Rows and pairs one layer worked on; adds up across batches and processes.

    Attributes:
        active: Rows that asked (queries, attention output, feed-forward).
        projected: Rows whose keys and values were projected.
        pairs: Query-key pairs through projected keys.
        absorbed: Queries that read unprojected states.
        absorbed_pairs: Their query-key pairs.
        head: Rows scored by the exit head.
        gate: Rows seen by the learned gate.
        calls: Times the layer ran at all.
        context: Rows judged by the context gate.
        spared: Active rows that a reducer took out after they had asked, so that neither
            attention output nor feed-forward block was computed of them.
        scored: Rows judged by the layer's scorer.
        ranked: Pairs of rows compared for a reducer, by a product as wide as the state: first rows
            with what they read, or every two of a text.
        embedded: Rows of n-grams that embeddings computed, at the first layer.
        selecting: Texts of which the layer's selectors were asked.
        unselected: Multiply-accumulates, of those that the other numbers stand for, that were left
            out with heads and neurons that texts did not select.
    """

    active: int = 0
    projected: int = 0
    pairs: int = 0
    absorbed: int = 0
    absorbed_pairs: int = 0
    head: int = 0
    gate: int = 0
    calls: int = 0
    context: int = 0
    spared: int = 0
    scored: int = 0
    ranked: int = 0
    embedded: int = 0
    selecting: int = 0
    unselected: int = 0

    def __add__(self, other: LayerWork) -> LayerWork:  # type: ignore[override]
        return LayerWork(*(a + b for a, b in zip(self, other, strict=True)))


Work = tuple[LayerWork, ...]
"""One entry a layer, from the first."""


def add_work(first: Work, second: Work) -> Work:
    """Add two runs of one network, layer by layer."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


@dataclass(frozen=True, eq=False)
class WordRows:
    """One entry a word, in order of text and position. All arrays are ``[W]``.

    Attributes:
        text: Number of the text.
        position: Place of the word in it.
        exit_layer: Layer at which the word left, from 1.
        prediction: Predicted class; of a regression the predicted value.
        confidence: Its probability at the exit; NaN for a value.
        gold: Gold class, -100 where unknown, any other number below 0 for a label that the model
            does not know; of a regression the true value, NaN where unknown.
    """

    text: NDArray[np.int64]
    position: NDArray[np.int64]
    exit_layer: NDArray[np.int64]
    prediction: NDArray[np.int64]
    confidence: NDArray[np.float32]
    gold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.exit_layer)


ROW_FIELDS = tuple(field.name for field in fields(WordRows))
"""What is saved of a run, a column each."""


class Depths(ABC):
    """Where the rows of a run left.

    Attributes:
        num_layers: Depth of the network.
    """

    num_layers: int

    @property
    @abstractmethod
    def exit_layers(self) -> NDArray[np.int64]:
        """Layer at which each row left."""

    @property
    def mean_exit_layer(self) -> float:
        """Average depth of a row; 0 without rows."""
        layers = self.exit_layers
        return float(layers.mean()) if len(layers) else 0.0

    @property
    def histogram(self) -> list[int]:
        """Rows that left at each layer, from the first."""
        return np.bincount(self.exit_layers, minlength=self.num_layers + 1)[1:].tolist()


@dataclass(frozen=True, eq=False)
class Trace(WordRows, Depths):
    """Words with what else a run knows of them, and the work that it was.

    Attributes:
        log_probs: Log-probabilities at the exit, ``[W, C]``; for decoding, not saved. Of a
            regression the score itself.
        lengths: Tokens of each piece the network read, for the cost of the plain model.
        work: Work of each layer.
        num_layers: Depth of the network.
    """

    log_probs: NDArray[np.float32]
    lengths: NDArray[np.int64]
    work: Work
    num_layers: int

    @property
    def exit_layers(self) -> NDArray[np.int64]:
        """Of each word."""
        return self.exit_layer

    def save(
        self,
        path: Path,
        words: Sequence[str] | None = None,
        beside: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Write one row a word as parquet.

        Args:
            path: The file.
            words: The words themselves.
            beside: Further columns, ``[W]`` each.
        """
        require_libraries("pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {name: getattr(self, name) for name in ROW_FIELDS}
        if words is not None:
            columns["word"] = list(words)
        columns |= beside or {}
        with replacing(path) as partial:
            pq.write_table(pa.table(columns), partial, compression="zstd")


WORD_FIELDS = (*ROW_FIELDS, "log_probs")
"""The arrays of a trace that have one entry a word."""


def merge(traces: Sequence[Trace]) -> Trace:
    """Join traces of one network over different texts, sorted by text and position."""
    first = traces[0]
    arrays = {name: np.concatenate([getattr(t, name) for t in traces]) for name in WORD_FIELDS}
    order = np.lexsort((arrays["position"], arrays["text"]))
    return Trace(
        **{name: values[order] for name, values in arrays.items()},
        lengths=np.concatenate([t.lengths for t in traces]),
        work=reduce(add_work, (t.work for t in traces)),
        num_layers=first.num_layers,
    )
