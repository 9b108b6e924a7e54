"""Which lines of a column file are comments, where words may begin with ``#`` as well."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

_KEY_VALUE = re.compile(r"# *[^\W\d][\w.:-]*( +\w+)? *=(\s|$)")  # "# newdoc id = x" as well
_MARK = re.compile(r"# *(newdoc|newpar) *$|#(begin|end) document\b")
_TAG = re.compile(r"O|[BIESLUMW]-.+")


def is_comment(
    line: str, cells: Sequence[str], width: int, tags: Container[str], tabs: bool
) -> bool:
    r"""Whether a line that begins with ``#``, before the first word of a sentence, is a comment.

    - ``# key = value``, ``# newdoc``, ``# newpar`` and ``#begin document`` are.
    - ``#`` (or several) and a blank or tab behind it: it is, unless it has as many columns as
      rows have, as the word ``#`` does; split by blanks, it must also end with a tag (one that
      other rows have, or one like ``B-X``).
    - ``#`` with text at once behind it (a hashtag) is a row, right or malformed; only text with
      blanks and without a tab, where rows have tabs, is a comment.

    Args:
        line: The line.
        cells: Its columns.
        width: Columns of a row.
        tags: Tags that words have elsewhere in the file.
        tabs: Whether rows are split by tabs.
    """
    if _KEY_VALUE.match(line) or _MARK.match(line):
        return True
    if "\t" in line:
        return line.lstrip("#")[:1] in (" ", "\t") and len(cells) != width
    if line.lstrip("#")[:1] in ("", " "):
        return len(cells) != width or not (cells[-1] in tags or _TAG.fullmatch(cells[-1]))
    return tabs and " " in line.strip()
