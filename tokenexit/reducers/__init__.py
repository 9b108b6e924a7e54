"""Reducers: which rows of a text are computed further?  Every module registers its own members.

Members are reached by class, ``reducers.Significance(0.8)``, or by name, ``from_config``. A
reducer takes rows out in the middle of a text; a policy lets words, or whole texts, out.
"""

from __future__ import annotations

from typing import Any

from tokenexit.reducers.base import FATES, PLACES, REDUCERS, Reducer
from tokenexit.reducers.build import ReducerLike, from_config
from tokenexit.reducers.rows import Rows
from tokenexit.reducers.softened import Softened
from tokenexit.reducers.weights import Kept, RowWeights

__all__ = [
    "FATES",
    "PLACES",
    "REDUCERS",
    "Kept",
    "Reducer",
    "ReducerLike",
    "RowWeights",
    "Rows",
    "Softened",
    "from_config",
]


def __getattr__(name: str) -> Any:
    members = REDUCERS.by_class()
    if name not in members:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return members[name]


def __dir__() -> list[str]:
    return sorted([*__all__, *REDUCERS.by_class()])
