"""Widths from plain data: a share, a mapping, JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenexit.config import from_yaml
from tokenexit.errors import UserError, check_names
from tokenexit.widths.base import Widths

WidthsLike = Widths | Mapping[str, Any] | float | str
"""What stands for widths: themselves, a share for all, or their parts as plain data or text."""

PARTS = ("heads", "neurons", "selected")


def from_config(config: WidthsLike) -> Widths:
    """Build widths from plain data.

    Args:
        config: ``0.5``, ``{"heads": 0.5, "neurons": [96, 96, [0, 3, 5]]}``, ``{"selected": 0.5}``,
            the same as JSON or YAML text, or widths (returned as they are).

    Raises:
        UserError: Something else; says what is allowed.
    """
    if isinstance(config, Widths):
        return config
    given: Any = config
    if isinstance(given, str):
        try:
            given = float(given)
        except ValueError:
            given = from_yaml(given, "Widths")
    if isinstance(given, int | float) and not isinstance(given, bool):
        return Widths(given, given)
    if not isinstance(given, Mapping):
        raise UserError(
            'Widths are a share such as 0.5, or a mapping such as {"heads": 0.5, "neurons": 0.5}, '
            f"not {config!r}."
        )
    check_names("part of widths", given, PARTS)
    return Widths(**{key: _revive(value) for key, value in given.items()})


def _revive(value: Any) -> Any:
    return tuple(_revive(one) for one in value) if isinstance(value, list | tuple) else value
