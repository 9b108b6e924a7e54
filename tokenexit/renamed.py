"""Names of before: they still work, and say what they are called now."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
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
    found = now[name]
    new = found.__name__ if found.__name__ != name else f"{found.__module__}.{name}"
    warnings.warn(f"{module}.{name} is called {new} now.", DeprecationWarning, stacklevel=3)
    return found


class _Former:
    """An attribute by its name of before, as the class that owns it has it."""

    def __init__(self, owner: type, old: str, new: str, value: Any) -> None:
        self._value, self._told = value, f"{owner.__name__}.{old} is called {new} now."

    def __get__(self, one: Any, owner: type) -> Any:
        warnings.warn(self._told, DeprecationWarning, stacklevel=2)
        bind = getattr(type(self._value), "__get__", None)
        return self._value if bind is None else bind(self._value, one, owner)


def _same(value: Any) -> Any:
    return value


def keep_former(
    cls: type,
    now: Mapping[str, str],
    read: Callable[[Any], Any] = _same,
    write: Callable[[Any], Any] = _same,
) -> None:
    """Let both names of renamed attributes stand for whatever a class defines under either.

    Call it for a base class, and from its ``__init_subclass__`` for those of plug-ins. Each class
    keeps its own value, so that ``super()`` finds the next one by both names; the base class has
    old names for what it inherits as well.

    Args:
        cls: The class.
        now: What attributes are called now, by their name of before.
        read: Makes of a value under an old name one under the new.
        write: The other way round.
    """
    for old, new in now.items():
        own = vars(cls)
        first = hasattr(cls, new) and not any(old in vars(kind) for kind in cls.__mro__)
        if first or (new in own and old not in own):
            value = write(inspect.getattr_static(cls, new))
            setattr(cls, old, _Former(cls, old, new, value))
        elif old in own and new not in own:
            told = f"{cls.__module__}.{cls.__name__}.{old} is called {new} now."
            warnings.warn(told, DeprecationWarning, stacklevel=3)
            setattr(cls, new, read(own[old]))
