"""What decoding really computed, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tokenexit.decoders import Decoder

FIELDS = ("rows", "projected", "pairs", "cross_projected", "head", "gate", "calls")


@dataclass(eq=False)
class DecodeWork:
    """Rows and pairs that each decoder layer worked on.

    Attributes:
        num_layers: Depth of the decoder.
        counts: One line a layer, ``[L, 7]``: tokens computed; tokens whose keys and values were
            made; query-key pairs of both attentions; source tokens projected; vocabulary
            entries scored; tokens seen by the learned gate; calls.
        source_lengths: Tokens of each encoded source.
    """

    num_layers: int
    counts: NDArray[np.int64] = field(default=None)  # type: ignore[assignment]
    source_lengths: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.counts is None:
            self.counts = np.zeros((self.num_layers, len(FIELDS)), dtype=np.int64)

    def count(self, index: int, **done: int) -> None:
        """Add to a layer, from 0."""
        line = self.counts[index]
        for name, number in done.items():
            line[FIELDS.index(name)] += number

    def of(self, name: str) -> NDArray[np.int64]:
        """One count for every layer, ``[L]``."""
        return self.counts[:, FIELDS.index(name)]

    def __add__(self, other: DecodeWork) -> DecodeWork:
        return DecodeWork(
            self.num_layers,
            self.counts + other.counts,
            [*self.source_lengths, *other.source_lengths],
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
    return total + sum(decoder.encoder_macs(length) for length in work.source_lengths)


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
