"""Plain data from somebody's JSON file: an object of sane size, or a readable error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError

DEEPEST = 64
"""Levels of nesting; settings need ten."""

_LARGEST = 10**40  # tokenizers write 10^30 where there is no limit


def read_json(path: Path) -> dict[str, Any]:
    """Read an object.

    Raises:
        UserError: There is no such file, it is damaged, or it holds what no settings hold.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing or no file. The folder is incomplete; copy it again.")
    try:
        data = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UserError(f"{path} is not valid JSON: {why}. Copy the folder again.") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings by name. Copy the folder again.")
    check_size(data, str(path))
    return data


def check_size(data: Any, origin: str) -> None:
    """Refuse plain data that is nested too deeply, or has whole numbers of absurd length.

    Raises:
        UserError: Names ``origin``.
    """
    level = [data]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list | tuple):
                inner += value
            elif isinstance(value, int) and abs(value) >= _LARGEST:
                raise UserError(f"{origin} holds a number of {len(hex(value)) - 2} hex digits.")
        level = inner
        if not level:
            return
    raise UserError(f"{origin} is nested more than {DEEPEST} levels deep. Copy the folder again.")
