"""Settings given in Python, as a configuration file would hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError


def plain(key: str, value: Any) -> Any:
    """A setting as JSON has it.

    Raises:
        UserError: It is an object that no file can hold.
    """
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(f"{key}.{name}", held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(key, held) for held in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    to_config = getattr(value, "to_config", None)
    if callable(to_config):
        return to_config()
    raise UserError(
        f"{key} is {type(value).__name__}, which no configuration can hold; give text, a number, "
        "a list or a mapping. Data in memory: write it to a file, or use tokenexit.fit."
    )
