"""From a string to words, for texts that nobody has split yet."""

from __future__ import annotations

import re

# Letters and digits stay together across an inner apostrophe, hyphen, dot or comma ("don't",
# "U.S", "3,000"); any other visible character stands alone.
_WORD = re.compile(r"\w+(?:['’.,\-]\w+)*|[^\w\s]")


def split_words(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Split a string into words and punctuation marks.

    Returns:
        The words, and where each stands as ``(start, end)``.
    """
    found = list(_WORD.finditer(text))
    return [match.group() for match in found], [match.span() for match in found]
