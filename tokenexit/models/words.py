"""From a string to words, for texts that nobody has split yet."""

from __future__ import annotations

import re
import unicodedata

# Letters and digits stay together across an inner apostrophe, hyphen, dot or comma ("don't",
# "U.S", "3,000"); any other visible character stands alone.
_WORD = re.compile(r"\w+(?:['’.,\-]\w+)*|[^\w\s]")


def split_words(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Split a string into words and punctuation marks.

    Marks that belong to the letter before them (accents, vowel signs, joiners) stay with it.

    Returns:
        The words, and where each stands as ``(start, end)``.
    """
    spans: list[tuple[int, int]] = []
    joined = False
    for match in _WORD.finditer(text):
        start, end = match.span()
        kind = unicodedata.category(text[start])
        touches = bool(spans) and spans[-1][1] == start
        if touches and (kind[0] == "M" or kind == "Cf" or (joined and text[start].isalnum())):
            spans[-1] = spans[-1][0], end
            # After a mark the regular expression begins anew in the middle of a word.
            joined = text[spans[-1][0]].isalnum()
        elif kind != "Cf":
            spans.append((start, end))
            joined = False
    return [text[start:end] for start, end in spans], spans
