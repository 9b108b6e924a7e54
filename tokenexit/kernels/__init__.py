"""Kernels in C++ for inference on a CPU: compiled, found and chosen here.

Where none can be had, everything works through torch's operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenexit.kernels.library import Library, library, status, warn_where_missing

if TYPE_CHECKING:
    from tokenexit.kernels.matrix import ACTIVATIONS, KINDS, PANEL, Matrix
    from tokenexit.kernels.watching import WatchedNumbers

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "PANEL",
    "Library",
    "Matrix",
    "WatchedNumbers",
    "library",
    "status",
    "warn_where_missing",
]


def __getattr__(name: str) -> Any:  # torch waits until what needs it is wanted
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tokenexit.kernels import matrix, watching

    return getattr(watching if name == "WatchedNumbers" else matrix, name)
