"""How many are left: counted on the device, read by the host one segment later."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from tokenexit.halting import PackedBatch
from tokenexit.static.buckets import Shape, bucket, power


class Counts(NamedTuple):
    """What is left before a segment.

    Attributes:
        words: Words that have not left.
        rows: Token rows that ask.
        kept: Token rows that are read.
        sentences: Sentences of which a word is left.
        most_words: Most words of one sentence.
        queries: Most rows of one sentence that ask.
        keys: Most rows of one sentence that are read.
        top_pairs: Queries meeting keys where each word asks by its first row alone.
        pairs: The same where all rows ask.
        squares: The same where all that are read ask.
    """

    words: int
    rows: int
    kept: int
    sentences: int
    most_words: int
    queries: int
    keys: int
    top_pairs: int
    pairs: int
    squares: int

    def shape(self) -> Shape:
        """Room for so many and for nobody, and for whatever of them is left later.

        Only rows, which layers work on, fit closely: each combination is captured for itself.
        """
        rows = bucket(self.rows + 1)
        return Shape(
            rows=rows,
            kept=bucket(self.kept + 1),
            words=min(power(self.words + 1), rows),
            sentences=power(self.sentences),
            queries=power(self.queries),
            keys=power(self.keys),
        )


def counts_at_start(batch: PackedBatch) -> Counts:
    """What a batch begins with: all of the sentences that have words."""
    words = np.bincount(batch.row_sequence[batch.first_row], minlength=batch.num_sequences)
    rows = np.where(words > 0, batch.lengths, 0)
    total, most = int(rows.sum()), int(rows.max(initial=0))
    pairs = int((rows * rows).sum())
    return Counts(
        words=int(words.sum()),
        rows=total,
        kept=total,
        sentences=int((words > 0).sum()),
        most_words=int(words.max(initial=0)),
        queries=most,
        keys=most,
        top_pairs=int((words * rows).sum()),
        pairs=pairs,
        squares=pairs,
    )


class LateCounts:
    """Counts of one batch before each of its segments.

    The host needs them to choose shapes. It never waits for those of the segment that is running:
    rows only leave, so older counts are large enough. ``behind`` segments it stays behind; at 0
    it waits for each, and shapes are exact.

    Args:
        segments: How many segments at most.
        device: Where they are counted.
        behind: How many segments old the counts are that are read.
    """

    def __init__(self, segments: int, device: torch.device, behind: int = 1) -> None:
        self.behind = behind
        on_gpu = device.type == "cuda"
        shape = segments + 1, len(Counts._fields)
        self.counted = torch.zeros(shape, dtype=torch.long, device=device)
        self._arriving = torch.zeros(shape, dtype=torch.long, pin_memory=on_gpu)
        self._sent: list[Any] = [torch.cuda.Event() for _ in range(segments + 1)] if on_gpu else []

    def send(self, number: int) -> None:
        """Start copying the counts before segment ``number`` to the host."""
        self._arriving[number].copy_(self.counted[number], non_blocking=True)
        if self._sent:
            self._sent[number].record()

    def before(self, number: int, start: Counts) -> Counts:
        """Counts that hold before segment ``number``; meanwhile the device runs the one before.

        Args:
            number: From 0.
            start: Those of the batch.
        """
        return self.exact(number - self.behind, start)

    def exact(self, number: int, start: Counts) -> Counts:
        """Counts before segment ``number``, once they have arrived."""
        if number <= 0:
            return start
        if self._sent:
            self._sent[number].synchronize()
        return Counts(*self._arriving[number].tolist())
