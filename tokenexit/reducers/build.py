"""Reducers from plain data: mappings, JSON, YAML, or as one types them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tokenexit.errors import UserError
from tokenexit.policies.text import named_settings, read_text
from tokenexit.reducers.base import REDUCERS, Reducer
from tokenexit.registry import settings_of

ReducerLike = Reducer | Mapping[str, Any] | str
"""What stands for a reducer: itself, its name, or its settings as plain data or text."""


def from_config(config: ReducerLike) -> Reducer:
    """Build a reducer from plain data.

    Args:
        config: ``{"name": "significance", "ratio": 0.8}``, the same as JSON or YAML text, a
            name, ``significance:0.8``, or a reducer (returned as it is).

    Raises:
        UserError: Unknown reducer or setting (the nearest name is given), or a bad value.
    """
    if isinstance(config, Reducer):
        return config
    given: Any = config
    if isinstance(given, str):
        name, colon, number = given.strip().partition(":")
        if colon and name.isidentifier():
            return _at(REDUCERS.get(name)(), number)
        given = read_text(given)
    given = named_settings(given, "reducer", '{"name": "significance", "ratio": 0.8}')
    cls = REDUCERS.get(str(given["name"]))
    settings = settings_of(given, cls, "reducer")
    values = {key: _revive(value) for key, value in settings.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise UserError(
            f"Reducer {given['name']!r} cannot be built from {values}: {error}. "
            f"Its settings are: {', '.join(inspect.signature(cls).parameters) or 'none'}."
        ) from error


def _at(reducer: Reducer, number: str) -> Reducer:
    try:
        value = float(number)
    except ValueError as error:
        raise UserError(
            f"What follows the colon of a reducer is a number, as in significance:0.8, not "
            f"{number.strip()!r}."
        ) from error
    return reducer.with_threshold(value)


def _revive(value: Any) -> Any:
    return tuple(_revive(one) for one in value) if isinstance(value, list | tuple) else value
