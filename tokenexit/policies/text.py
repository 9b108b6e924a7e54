"""A policy as somebody wrote it: a name, JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenexit.config import from_yaml
from tokenexit.errors import UserError


def read_text(text: str) -> Any:
    """Plain data from JSON or YAML text, in which no key may be given twice.

    Raises:
        UserError: It is neither.
    """
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    try:
        return json.loads(text, object_pairs_hook=_once)
    except UserError:
        raise
    except json.JSONDecodeError:
        pass
    except RecursionError:
        raise UserError(f"The policy {shown!r} is nested too deeply.") from None
    except ValueError as error:  # more digits than a number may have
        raise UserError(f"The policy {shown!r} cannot be read: {error}.") from error
    try:
        return from_yaml(text, "It")
    except UserError as error:
        why = " ".join(str(error).rstrip(" ^\n").split())
        raise UserError(f"The policy {shown!r} is neither a name nor JSON: {why}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"A policy gives {twice!r} twice in one place; give it once.")
    return read


def named_settings(given: Any, what: str, example: str) -> Mapping[str, Any]:
    """A name, or settings with a name, as settings.

    Args:
        given: As parsed.
        what: What is named.
        example: Settings that would do.

    Raises:
        UserError: It is neither.
    """
    settings = {"name": given} if isinstance(given, str) else given
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise UserError(
            f"A {what} is a name or a mapping with a 'name', not {given!r}; for example {example}."
        )
    return settings
