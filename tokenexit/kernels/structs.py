"""How structs of C are written in Python: fields of one kind by their names, zeros for nothing."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

INT, LONG, FLOAT, POINTER = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p

Part = TypeVar("Part")
Struct = TypeVar("Struct", bound=ctypes.Structure)


def fields(kind: Any, names: str) -> tuple[tuple[str, Any], ...]:
    """Fields of one kind, one behind the other."""
    return tuple((name, kind) for name in names.split())


def zeros_of_none(
    kind: type[Struct],
) -> Callable[[Callable[[Any, Part], Struct]], Callable[[Any, Part | None], Struct]]:
    """Let a method that lays out a part give a struct of zeros where a network has no such part."""

    def decorate(lay_out: Callable[[Any, Part], Struct]) -> Callable[[Any, Part | None], Struct]:
        return lambda builder, part: kind() if part is None else lay_out(builder, part)

    return decorate
