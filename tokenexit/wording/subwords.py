"""Tokens of a vocabulary as readable text: markers of spaces and of bytes undone."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

Marking = Literal["sentencepiece", "bytes", "wordpiece", "words"]

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]|[a-z]{2}_[A-Z]{2}")


@dataclass(frozen=True)
class Subword:
    """One token as a reader sees it.

    Attributes:
        text: Readable, without a space in front; empty for a lone space, or a token that ends
            inside a character, which the next token then shows.
        spaced: Whether there is a space in front.
        special: Whether it is no text, such as the end token.
    """

    text: str
    spaced: bool
    special: bool = False


def marking(tokens: Iterable[str]) -> Marking:
    """Tell from its tokens how a vocabulary marks spaces."""
    different = set(tokens)
    letters = set("".join(different))
    if "▁" in letters:
        return "sentencepiece"
    bytes_of = _bytes_of()
    # Plain English has only letters that stand for themselves.
    if letters <= bytes_of.keys() and any(ord(letter) > 0xFF for letter in letters):
        return "bytes"
    return "wordpiece" if any(token.startswith("##") for token in different) else "words"


def subwords(tokens: Sequence[str], marked: Marking) -> list[Subword]:
    """Make the tokens of one text readable; one sub-word each."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found: list[Subword] = []
    for token in tokens:
        if _SPECIAL.fullmatch(token) and not _BYTE.fullmatch(token):
            decoder.reset()
            found.append(Subword(token, spaced=bool(found), special=True))
            continue
        text = decoder.decode(_raw(token, marked))
        spaced = text.startswith(" ") and bool(found)
        found.append(Subword(text.removeprefix(" ").replace("\n", "↵"), spaced))
    return found


def joined(parts: Iterable[Subword]) -> str:
    """The text of sub-words, special tokens left out."""
    return "".join(" " * part.spaced + part.text for part in parts if not part.special).strip()


def _raw(token: str, marked: Marking) -> bytes:
    """The UTF-8 bytes a token stands for."""
    byte = _BYTE.fullmatch(token)
    if marked == "sentencepiece":
        return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()
    if marked == "bytes":
        bytes_of = _bytes_of()
        return b"".join(
            bytes([bytes_of[c]]) if c in bytes_of else c.encode("utf-8", "replace") for c in token
        )
    if marked == "wordpiece" and token.startswith("##"):
        return token[2:].encode()
    return f" {token}".encode()


@cache
def _bytes_of() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others are moved up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(moved)
    }
