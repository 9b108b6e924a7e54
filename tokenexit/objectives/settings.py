"""Settings of objectives, declared with what they may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tokenexit.config.limits import Limits
from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.weights import layer_weights

CHECK = "check"
"""Metadata of a field: called with its name and its value, refuses a bad one."""


def number(default: float, **limits: float) -> Any:
    """A field of an objective that takes numbers within ``Limits``."""
    allowed = Limits(**limits)

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{name} must be a number, {allowed}, not {value!r}.")
        allowed.check(name, value)

    return _checked(default, check)


def share(default: float) -> Any:
    """A field of an objective that takes shares, 0 and 1 with them."""
    return number(default, low=0, high=1)


def choice(default: str, allowed: Sequence[str]) -> Any:
    """A field of an objective that takes some names."""

    def check(name: str, value: Any) -> None:
        if value not in allowed:
            raise unknown_name(name, value, allowed)

    return _checked(default, check)


def exit_weights(default: str | float | None) -> Any:
    """A field of an objective that takes a rule of ``layer_weights``; None where that is one."""

    def check(_: str, value: Any) -> None:
        if default is None and value is None:
            return
        layer_weights(value, (1,))

    return _checked(default, check)


def _checked(default: Any, check: Callable[[str, Any], None]) -> Any:
    return dataclasses.field(default=default, metadata={CHECK: check})
