"""What decoding really computed, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tokenexit.decoders import Decoder
from tokenexit.decoders.source_encoder import NoHeads
from tokenexit.halting import Work, add_work
from tokenexit.halting.cost import macs

FIELDS = (
    "rows", "projected", "pairs", "cross_projected", "head", "gate", "calls", "propagations",
    "head_read", "cross_calls", "context",
)  # fmt: skip


class DecodeWork:
    """Rows and pairs that each decoder layer worked on.

    Args:
        num_layers: Depth of the decoder.
        counts: One line a layer, ``[L, 11]``: tokens computed; tokens whose keys and values were
            made; query-key pairs of both attentions; source tokens projected; vocabulary
            entries scored; numbers made by learned gates; calls; calls that only made keys and
            values; vocabulary entries whose weights were read; calls that projected sources;
            multiply-accumulates of context gates.
            Nothing yet when None.
        source_lengths: Tokens of each encoded source.
        encoder: Work of each encoder layer where tokens of the source may leave; None at full
            depth.
    """

    def __init__(
        self,
        num_layers: int,
        counts: NDArray[np.int64] | None = None,
        source_lengths: Iterable[int] = (),
        encoder: Work | None = None,
    ) -> None:
        self.num_layers = num_layers
        self.encoder = encoder
        self.source_lengths = list(source_lengths)
        # Lists, because counting happens in every layer of every step.
        self._lines: list[list[int]] = (
            [[0] * len(FIELDS) for _ in range(num_layers)] if counts is None else counts.tolist()
        )

    @property
    def counts(self) -> NDArray[np.int64]:
        """All counts, ``[L, 11]``."""
        return np.array(self._lines, dtype=np.int64).reshape(self.num_layers, len(FIELDS))

    def take(self, counts: NDArray[np.int64]) -> None:
        """Say what another has counted, ``[L, 11]``, in the place of all before."""
        self._lines = counts.tolist()

    def layer(
        self, index: int, rows: int, projected: int, pairs: int, cross_projected: int
    ) -> None:
        """A layer, from 0, has run on some rows."""
        line = self._lines[index]
        line[0] += rows  # in the order of FIELDS
        line[1] += projected
        line[2] += pairs
        line[3] += cross_projected
        line[6] += 1
        line[9] += cross_projected > 0

    def sourced(self, index: int, tokens: int) -> None:
        """Keys and values of the sources were made for a layer."""
        self._lines[index][3] += tokens
        self._lines[index][9] += 1

    def propagated(self, index: int, rows: int) -> None:
        """Keys and values were made for rows that skip a layer."""
        self._lines[index][1] += rows
        self._lines[index][7] += 1

    def scored(self, index: int, entries: int, read: int) -> None:
        """Vocabulary entries were scored at the exit after a layer, from weights of so many."""
        self._lines[index][4] += entries
        self._lines[index][8] += read

    def gated(self, index: int, numbers: int) -> None:
        """Learned gates have made numbers from rows after a layer."""
        self._lines[index][5] += numbers

    def judged(self, index: int, macs: int) -> None:
        """A context gate has judged rows after a layer."""
        self._lines[index][10] += macs

    def of(self, name: str) -> NDArray[np.int64]:
        """One count for every layer, ``[L]``."""
        return self.counts[:, FIELDS.index(name)]

    def __add__(self, other: DecodeWork) -> DecodeWork:
        return DecodeWork(
            self.num_layers,
            self.counts + other.counts,
            [*self.source_lengths, *other.source_lengths],
            _joined(self, other),
        )


def decode_macs(decoder: Decoder, work: DecodeWork) -> int:
    """Multiply-accumulates of decoding, vocabulary head, gate and encoder included.

    Norms, activations and softmax are not multiply-accumulates and count nothing, here as in
    torch's counter; a confidence costs one product for each entry scored.
    """
    cost = decoder.cost()
    total = int(work.of("rows").sum()) * (cost.query + cost.combine)
    total += int(work.of("projected").sum()) * cost.key_value
    total += int(work.of("cross_projected").sum()) * cost.cross_key_value
    total += int(work.of("pairs").sum()) * cost.pair
    total += int(work.of("head").sum()) * decoder.hidden_size
    total += int(work.of("gate").sum()) * decoder.hidden_size
    total += int(work.of("context").sum())
    if work.encoder is not None:
        encoder = decoder.source_encoder()
        return total + macs(encoder, NoHeads(encoder), work.encoder)  # type: ignore[arg-type]
    return total + sum(decoder.encoder_macs(length) for length in work.source_lengths)


def _joined(first: DecodeWork, second: DecodeWork) -> Work | None:
    """Encoder work of two runs; one that has run nothing yet adds nothing."""
    if first.encoder is None or second.encoder is None:
        return first.encoder or second.encoder
    return add_work(first.encoder, second.encoder)


def decode_bytes(decoder: Decoder, work: DecodeWork) -> int:
    """Bytes that decoding reads: weights once a call, keys and values once a query.

    Decoding few rows is a matter of memory rather than arithmetic, and this is what it waits
    for. A layer has as many weights as one row has multiply-accumulates in it. States, which are
    small, and the encoder are left out.
    """
    cost = decoder.cost()
    layer = cost.query + cost.key_value + cost.combine
    read = int(work.of("calls").sum()) * layer
    read += int(work.of("propagations").sum()) * cost.key_value
    read += int(work.of("cross_calls").sum()) * cost.cross_key_value
    read += int(work.of("pairs").sum()) * cost.pair
    read += int(work.of("head_read").sum()) * decoder.hidden_size
    return read * next(decoder.model.parameters()).element_size()


def plain_decode_macs(
    decoder: Decoder, source_lengths: Iterable[int], target_lengths: Iterable[int]
) -> int:
    """Multiply-accumulates of the plain model with its cache, on real tokens only.

    Args:
        decoder: The network.
        source_lengths: Tokens of each source.
        target_lengths: Tokens generated for each.
    """
    cost = decoder.cost()
    total = 0
    for source, target in zip(source_lengths, target_lengths, strict=True):
        pairs = target * source + target * (target + 1) // 2
        layer = target * (cost.query + cost.key_value + cost.combine)
        layer += source * cost.cross_key_value + pairs * cost.pair
        total += decoder.num_layers * layer + target * decoder.vocabulary_cost()
        total += decoder.encoder_macs(source)
    return total
