"""Generated tokens as text, one piece each."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from transformers.convert_slow_tokenizer import bytes_to_unicode

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_texts(tokenizer: Any, tokens: Sequence[str]) -> list[str]:
    """What each token adds to a text, the space before a word included.

    Several tokens may be bytes of one character: it stands with the last of them, and the
    others are empty.

    Args:
        tokenizer: Whose tokens.
        tokens: As the vocabulary writes them.
    """
    special = {str(token) for token in getattr(tokenizer, "all_special_tokens", ())}
    by_bytes = _is_byte_level(tokenizer)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = []
    for token in tokens:
        if token in special:
            texts.append(decoder.decode(b"", final=True) + token)
            continue
        texts.append(decoder.decode(_bytes(token, by_bytes)))
    if texts:
        texts[-1] += decoder.decode(b"", final=True)
    return texts


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # in Python; of these, GPT-2's kin hold the table
        return hasattr(tokenizer, "byte_decoder")
    return "ByteLevel" in repr(backend.decoder)


def _bytes(token: str, by_bytes: bool) -> bytes:
    table = _table()
    if by_bytes and all(letter in table for letter in token):
        return bytes(table[letter] for letter in token)
    byte = _BYTE.fullmatch(token)
    if byte and not by_bytes:
        return bytes([int(byte[1], 16)])
    return token.replace("▁", " ").encode("utf-8", "replace")


@cache
def _table() -> dict[str, int]:
    return {letter: number for number, letter in bytes_to_unicode().items()}
