"""What a generator wrote for a split, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenexit.decoding import DecodeWork
from tokenexit.extras import require_libraries
from tokenexit.files import replacing
from tokenexit.halting.trace import Depths
from tokenexit.models.generation.generate_texts import GeneratedText

if TYPE_CHECKING:
    from tokenexit.data.pairs import PairSplit

TOKENS = ("text", "position", "word", "exit_layer")
BESIDE = ("source", "reference", "full_depth", "full_depth_oracle")
"""Columns of a saved trace; what stands beside a text is in the line of its first token."""


@dataclass(frozen=True, eq=False)
class TextTrace(Depths):
    """Generated texts, in order of their sources.

    Attributes:
        text: Number of each source.
        outputs: What was written for it.
        source_lengths: Tokens of each source.
        work: Rows each decoder layer worked on.
        num_layers: Depth of the decoder.
    """

    text: list[int]
    outputs: list[GeneratedText]
    source_lengths: list[int]
    work: DecodeWork
    num_layers: int

    def __len__(self) -> int:
        return sum(len(output.exit_layers) for output in self.outputs)

    @property
    def texts(self) -> list[str]:
        """The texts alone."""
        return [output.text for output in self.outputs]

    @property
    def exit_layers(self) -> np.ndarray:
        """Layer at which each token left, text after text."""
        return np.array([e for output in self.outputs for e in output.exit_layers], dtype=np.int64)

    @property
    def by_position(self) -> list[float]:
        """Mean exit layer at each place of a text, from the first token."""
        longest = max((len(output.exit_layers) for output in self.outputs), default=0)
        sums, counts = np.zeros(longest), np.zeros(longest)
        for output in self.outputs:
            sums[: len(output.exit_layers)] += output.exit_layers
            counts[: len(output.exit_layers)] += 1
        return (sums / np.maximum(counts, 1)).round(4).tolist()

    def save(
        self,
        path: Path,
        split: PairSplit | None = None,
        full: TextTrace | None = None,
        oracle: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Write one row a token as parquet.

        Args:
            path: The file.
            split: Where the texts come from: its sources and targets are written too.
            full: What was generated at full depth for the same sources; its tokens are written too.
            oracle: Where the oracle lets each of those leave.
        """
        require_libraries("pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = dict.fromkeys(("text", "position", "exit_layer"), pa.int64())
        kinds |= {"full_depth": pa.list_(pa.string()), "full_depth_oracle": pa.list_(pa.int64())}
        deep = {} if full is None else dict(zip(full.text, full.outputs, strict=True))
        early = dict(zip(full.text, oracle, strict=True)) if full is not None and oracle else {}
        columns: dict[str, list[Any]] = {name: [] for name in TOKENS + BESIDE}
        for number, output in zip(self.text, self.outputs, strict=True):
            count = len(output.tokens)
            columns["text"] += [number] * count
            columns["position"] += range(count)
            columns["word"] += output.tokens
            columns["exit_layer"] += output.exit_layers
            beside = (
                None if split is None else split.sources[number],
                None if split is None or split.targets is None else split.targets[number],
                deep[number].tokens if number in deep else None,
                early.get(number),
            )
            for name, value in zip(BESIDE, beside, strict=True):
                columns[name] += [value, *[None] * (count - 1)][:count]
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
        with replacing(path) as partial:
            pq.write_table(pa.table(columns, schema=schema), partial, compression="zstd")


def merge_texts(traces: Sequence[TextTrace]) -> TextTrace:
    """Join traces of one network over different sources, sorted by source."""
    rows = sorted(
        (row for t in traces for row in zip(t.text, t.outputs, t.source_lengths, strict=True)),
        key=lambda row: row[0],
    )
    return TextTrace(
        text=[number for number, _, _ in rows],
        outputs=[output for _, output, _ in rows],
        source_lengths=[length for _, _, length in rows],
        work=reduce(add, (trace.work for trace in traces)),
        num_layers=traces[0].num_layers,
    )
