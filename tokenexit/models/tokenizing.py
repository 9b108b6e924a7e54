"""Tokenizers in several threads."""

from __future__ import annotations

from threading import Lock
from typing import Any

_LOCK = Lock()


def tokenized(tokenizer: Any, *texts: Any, **options: Any) -> Any:
    """What a tokenizer makes of texts, one call after the other.

    A fast tokenizer keeps how texts are cut and padded from call to call: two calls at the same
    time would take each other's.
    """
    with _LOCK:
        return tokenizer(*texts, verbose=False, **options)
