"""The order in which texts are tested: fixed by the texts themselves, so that nobody chooses it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def text_hash(text: str, seed: int = 0) -> str:
    """Of one text, 64 hexadecimal digits; not of how it is stored."""
    return hashlib.sha256(f"{seed}\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()


def order_of(texts: Sequence[str], seed: int = 0) -> NDArray[np.int64]:
    """Numbers of the texts in the order of their hashes, each different text once, ``[D]``.

    A text that stands twice says nothing new: the first of equals is taken.
    """
    return order_by([text_hash(text, seed) for text in texts])


def order_by(hashes: Sequence[str]) -> NDArray[np.int64]:
    """The same of texts of which only the hashes are known."""
    first = dict(reversed([(key, n) for n, key in enumerate(hashes)]))
    return np.array([first[key] for key in sorted(first)], dtype=np.int64)
