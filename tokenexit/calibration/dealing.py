"""Which texts choose and which test, where all are from one split."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray


def halves(
    count: int, families: int, documents: NDArray[np.int64] | None = None
) -> tuple[list[int], list[int]]:
    """Texts that choose among families, and texts that test; nobody chooses among one.

    Args:
        count: Texts.
        families: Families.
        documents: Number of each text's document, ``[n]``, none of which is cut in two.
    """
    if families == 1:
        return [], list(range(count))
    if documents is None:
        order = random.Random(0).sample(range(count), count)
        return sorted(order[: count // 2]), sorted(order[count // 2 :])
    there = np.unique(documents).tolist()
    chosen = np.isin(documents, random.Random(0).sample(there, len(there) // 2))
    return np.flatnonzero(chosen).tolist(), np.flatnonzero(~chosen).tolist()


def documents_of(split: Any) -> NDArray[np.int64] | None:
    """Number of each text's document, ``[n]``; None where each stands for itself."""
    if split.groups is None:
        return None
    numbers: NDArray[np.int64] = np.unique(split.groups, return_inverse=True)[1]
    return numbers
