"""Few shapes instead of many: counts rounded up to sizes that come up again and again."""

from __future__ import annotations

from typing import NamedTuple

from tokenexit.errors import UserError

FINE = 8
"""Up to here sizes are powers of two, above they are multiples of it, as kernels like them."""

STEPS = 4
"""Sizes from one power of two to the next, multiples of ``FINE``: a quarter more at most."""

MOST_ROWS = 1 << 17
"""Token rows of the largest bucket."""


class Shape(NamedTuple):
    """How much room each thing has in one segment.

    Attributes:
        rows: Token rows that ask, ``A``.
        kept: Token rows that are read, ``R``.
        words: Words that have not left, ``N``.
        sentences: Sentences of which a word is left, ``S``.
        queries: Rows that ask, of one sentence, ``Q``.
        keys: Rows that are read, of one sentence, ``K``.
    """

    rows: int
    kept: int
    words: int
    sentences: int
    queries: int
    keys: int


def bucket(count: int) -> int:
    """The smallest size that holds so many, at least 1."""
    above = power(count)
    step = max(above // 2 // STEPS, FINE)
    return above if above <= FINE else -(-count // step) * step


def power(count: int) -> int:
    """The smallest power of two that is no less, at least 1."""
    return 1 << max(count - 1, 0).bit_length()


def room_for(rows: int) -> int:
    """Memory for so many token rows: a power of two, so that few are made.

    Args:
        rows: How many there are.

    Raises:
        UserError: They are more than the largest bucket holds.
    """
    if rows > MOST_ROWS:
        raise UserError(
            f'runtime="static" holds {MOST_ROWS} tokens at most, and a batch has {rows}: choose '
            'a smaller batch_size, or runtime="eager".'
        )
    return power(rows)
