"""Settings that were checked at the last call are not checked again.

A service calls ``generate`` with the same settings each time, and reading some sixty of them anew
takes as long as several tokens of a small model in kernels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")

_PLAIN = (str, int, float, bool, torch.dtype, type(None))


class Known(Generic[T]):
    """What came of the last settings, as long as they are the same to the last value.

    Only plain data is remembered: nobody can say whether an object is what it was.
    """

    def __init__(self) -> None:
        # One value, so that threads with settings of their own never see half of a change.
        self._last: tuple[tuple[Any, ...], T] | None = None

    def get(self, make: Callable[[], T], *settings: Mapping[str, Any]) -> T:
        """What ``make`` gives, or gave for equal settings.

        Args:
            make: Reads the settings; what it raises is not remembered.
            settings: All that it reads.
        """
        last = self._last
        if last is not None and _equal(last[0], settings):
            return last[1]
        came = make()
        if all(_plain(one) for one in settings):
            self._last = copy.deepcopy(settings), came
        return came


def _equal(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    try:
        # True is 1 to Python, and not to those that check settings.
        return before == now and all(map(_alike, before, now))
    except (ValueError, RuntimeError):  # arrays have no one answer
        return False


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether values are of the same types, in the same order."""
    return [*map(type, one.values())] == [*map(type, other.values())]


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_plain(one) for one in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(_plain(one) for one in value)
    return isinstance(value, _PLAIN)
