"""Names of before: they still work, and say what they are called now."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any


def renamed(module: str, name: str, now: Mapping[str, Any]) -> Any:
    """What a module's ``__getattr__`` gives for a name that it does not have.

    Args:
        module: Its ``__name__``.
        name: What was asked for.
        now: What old names stand for.

    Raises:
        AttributeError: It is no old name either.
    """
    if name not in now:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warnings.warn(
        f"{module}.{name} is called {now[name].__name__} now.", DeprecationWarning, stacklevel=3
    )
    return now[name]
