"""What the kernels take, read from the table that the compiler reads: it is said once."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

from tokenexit.kernels.build import SOURCES

_TYPES: dict[str, Any] = {
    "void": None,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}
_KERNEL = re.compile(r"KERNEL\((\w+), (\w+),\s*\(([^)]*)\)")


@cache
def signatures() -> dict[str, tuple[Any, list[Any]]]:
    """Result and parameters of every kernel, by name; a pointer is an address or None."""
    table = (SOURCES / "table.h").read_text(encoding="utf-8").replace("\\\n", "\n")
    macro = table.partition("#define TOKENEXIT_KERNELS")[2]
    return {
        name: (_TYPES[result], [_type_of(each) for each in parameters.split(",")])
        for result, name, parameters in _KERNEL.findall(macro)
    }


def _type_of(parameter: str) -> Any:
    words = parameter.split()
    return ctypes.c_void_p if "*" in parameter else _TYPES[words[-2]]
