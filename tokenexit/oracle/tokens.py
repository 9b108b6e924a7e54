"""Which tokens of generated texts can be compared with full depth's, and of what kind they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenexit.oracle.rows import Rows
from tokenexit.wording.subwords import Marking, Subword, subwords

KINDS = ("capitalised word", "word", "inside a word", "number", "punctuation", "special", "space")


@dataclass(frozen=True)
class Text:
    """One text, as it was written and as full depth writes it.

    Attributes:
        tokens: Its tokens, as the vocabulary writes them.
        exit_layers: Layer at which each left.
        full: Tokens that full depth wrote.
        oracle: Layer at which the oracle lets each of those leave.
    """

    tokens: Sequence[str]
    exit_layers: Sequence[int]
    full: Sequence[str]
    oracle: Sequence[int]


def compared(ours: Sequence[Any], deep: Sequence[Any]) -> int:
    """Tokens up to the first that differs, that one included; later ones answer another question.

    Args:
        ours: Tokens of a text.
        deep: Those of full depth for the same source.
    """
    both = min(len(ours), len(deep))
    return next((place + 1 for place in range(both) if ours[place] != deep[place]), both)


def token_rows(texts: Sequence[Text]) -> Rows:
    """The tokens that can be compared, text after text."""
    left: list[int] = []
    oracle: list[int] = []
    changed: list[bool] = []
    for text in texts:
        count = compared(text.tokens, text.full)
        left += text.exit_layers[:count]
        oracle += text.oracle[:count]
        changed += [a != b for a, b in zip(text.tokens[:count], text.full[:count], strict=True)]
    return Rows(np.array(left, int), np.array(oracle, int), np.array(changed, bool))


def token_kinds(texts: Sequence[Text], marked: Marking) -> list[str]:
    """Kind of each token that can be compared, as full depth writes it; one of ``KINDS``."""
    return [
        _kind(subword, place)
        for text in texts
        for place, subword in enumerate(
            subwords(text.full, marked)[: compared(text.tokens, text.full)]
        )
    ]


def _kind(subword: Subword, place: int) -> str:
    if subword.special:
        return "special"
    if not subword.text.strip():
        return "space"
    if any(letter.isdigit() for letter in subword.text):
        return "number"
    if not any(letter.isalpha() for letter in subword.text):
        return "punctuation"
    if place and not subword.spaced:
        return "inside a word"
    return "capitalised word" if subword.text[0].isupper() else "word"
