"""Trigrams as single numbers: three vocabulary ids, each one up, and 0 where there is no token."""

from __future__ import annotations

from torch import Tensor

BITS = 20
"""Of each id: three fit into 64 bits, and vocabularies have at most a million entries."""

_MASK = (1 << BITS) - 1


def ngrams_of(ids: Tensor, positions: Tensor) -> Tensor:
    """The trigram around each token of packed texts, ``[T] -> [T]``.

    Args:
        ids: Vocabulary ids.
        positions: Place of each in its text; 0 begins another.
    """
    ones = ids + 1
    before, after = ones.new_zeros(len(ones)), ones.new_zeros(len(ones))
    before[1:] = ones[:-1]
    before = before.masked_fill(positions == 0, 0)
    after[:-1] = ones[1:].masked_fill(positions[1:] == 0, 0)
    return (before << 2 * BITS) | (ones << BITS) | after


def shorter(keys: Tensor, size: int) -> Tensor:
    """Trigrams without the token before, and with ``size`` 1 without that after either."""
    kept = keys & ((1 << 2 * BITS) - 1)
    return kept if size == 2 else (kept >> BITS) << BITS


def unpacked(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Ids of n-grams and which are real, ``[N] -> [N, 3]`` twice; in a gap stands the middle."""
    parts = [(keys >> shift) & _MASK for shift in (2 * BITS, BITS, 0)]
    ones = keys.new_empty(len(keys), 3)
    for place, part in enumerate(parts):
        ones[:, place] = part
    real = ones > 0
    return ones.where(real, ones[:, 1:2]) - 1, real
