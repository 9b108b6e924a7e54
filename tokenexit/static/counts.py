"""How many are left: counted on the device, read by the host one segment later."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting import PackedBatch
from tokenexit.static.buckets import Shape, bucket


class Counts(NamedTuple):
    """What is left before a segment.

    Attributes:
        rows: Token rows that ask.
        kept: Token rows that are read.
        words: Words that have not left.
        sentences: Sentences of which a word is left.
        queries: Most rows of one sentence that ask.
        keys: Most rows of one sentence that are read.
        pairs: Queries meeting keys, over all sentences.
        top_pairs: The same where each word asks by its first row alone.
    """

    rows: int
    kept: int
    words: int
    sentences: int
    queries: int
    keys: int
    pairs: int
    top_pairs: int

    def shape(self) -> Shape:
        """Room for so many, and for whatever of them is left later."""
        return Shape(*map(bucket, self[: len(Shape._fields)]))


def counts_at_start(batch: PackedBatch) -> Counts:
    """What a batch begins with: all of the sentences that have words."""
    words = np.bincount(batch.row_sequence[batch.first_row], minlength=batch.num_sequences)
    rows = np.where(words > 0, batch.lengths, 0)
    total, most = int(rows.sum()), int(rows.max(initial=0))
    return Counts(
        rows=total,
        kept=total,
        words=int(words.sum()),
        sentences=int((words > 0).sum()),
        queries=most,
        keys=most,
        pairs=int((rows * rows).sum()),
        top_pairs=int((words * rows).sum()),
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


def count(active: Tensor, kept: Tensor, words: Tensor) -> Tensor:
    """``Counts`` on the device, ``[8]`` long.

    Args:
        active: Rows of each sentence that ask, ``[S]``.
        kept: Rows of each that are read, ``[S]``.
        words: Words of each that have not left, ``[S]``.
    """
    return torch.stack(
        [
            active.sum(),
            kept.sum(),
            words.sum(),
            (words > 0).sum(),
            active.max(),
            kept.max(),
            (active * kept).sum(),
            (words * kept).sum(),
        ]
    )
