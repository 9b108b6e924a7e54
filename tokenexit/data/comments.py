"""Which lines of a column file are comments, where words may begin with ``#`` as well."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

_KEY_VALUE = re.compile(r"#\s*[^\W\d][\w.:-]*(\s+\w+)?\s*=(\s|$)")  # "# newdoc id = x" as well
_MARK = re.compile(r"#\s*(newdoc|newpar)\s*$|#(begin|end) document\b")
_TAG = re.compile(r"O|[BIESLUMW]-.+")


def is_comment(
    line: str, cells: Sequence[str], width: int, tags: Container[str], tabs: bool
) -> bool:
    r"""Whether a line that begins with ``#``, before the first word of a sentence, is a comment.

    - ``# key = value``, ``# newdoc``, ``# newpar`` and ``#begin document`` are.
    - ``#`` (or several) and a blank or tab behind it: it is, unless it has as many columns as
      rows have and ends with a tag (that other rows have, or like ``B-X``), as the word ``#`` does.
    - ``#`` with text at once behind it (a hashtag) is a row, right or malformed; only text with
      blanks and without a tab, where rows have tabs, is a comment.

    Args:
        line: The line.
        cells: Its columns.
        width: Columns of a row.
        tags: Tags that words have elsewhere in the file.
        tabs: Whether rows are split by tabs.
    """
    if "\t" not in line and (_KEY_VALUE.match(line) or _MARK.match(line)):
        return True
    if line.lstrip("#")[:1] in ("", " ", "\t"):
        return len(cells) != width or not (cells[-1] in tags or _TAG.fullmatch(cells[-1]))
    return tabs and "\t" not in line and " " in line.strip()
