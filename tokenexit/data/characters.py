"""Text that can be written down: no half characters."""

from __future__ import annotations

import re

_LONE = re.compile("[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    r"""Put U+FFFD in the place of lone surrogates; any other text comes back as it is.

    Half an emoji is left where a text was cut at a number of characters, and JSON can carry it
    (``"\ud83d"``); neither UTF-8 nor a tokenizer can. Two halves that stand together become
    the character that they are.
    """
    if text.isascii() or _LONE.search(text) is None:
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return _LONE.sub("\ufffd", joined)
