"""Which texts are audited: a draw that knows their number alone, never what they say."""

from __future__ import annotations

import hashlib


def is_drawn(number: int, rate: float, seed: int = 0) -> bool:
    """Whether the text that was served as the ``number``-th is drawn.

    The same whenever it is asked, so that a stream may be cut and resumed anywhere.
    """
    digest = hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < rate * 2**64
