"""The mean over the rows of each word."""

from __future__ import annotations

from torch import Tensor


def word_means(
    hidden: Tensor, rows: Tensor, word: Tensor, count: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean states of words, ``[N, H]``.

    Args:
        hidden: States of all rows, ``[R, H]``.
        rows: Those that belong to a word, ``[P]``.
        word: Which each belongs to, ``[P]``.
        count: How many each word has, ``[N]``.
        weights: What each of all rows counts, ``[R]``; all the same if None.
    """
    parts = hidden.index_select(0, rows)
    sums = hidden.new_zeros(len(count), hidden.shape[1])
    if weights is not None:
        shares = weights.index_select(0, rows)
        parts = parts * shares[:, None]
        count = weights.new_zeros(len(count)).index_add(0, word, shares)
    return sums.index_add(0, word, parts) / count[:, None]
