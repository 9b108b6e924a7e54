"""Where time goes, function by function: each is charged for what it does itself."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

_OTHER = "Python between"
Now = Callable[[], float]
"""Tells the time in seconds: of the world, or of this thread alone."""


class Clock:
    """Charges the time of functions to parts; a part's is without that of parts inside it.

    Args:
        now: What tells the time.

    Attributes:
        seconds: Of each part.
        calls: Of each part.
    """

    def __init__(self, now: Now = time.perf_counter) -> None:
        self._now = now
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inside: list[float] = []
        self._replaced: list[tuple[Any, str, Any]] = []

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Charge a function, or a method of a class, to a part from now on.

        Args:
            owner: The module, class or object that has it.
            name: Its name there.
            part: What it belongs to.
        """
        own = vars(owner).get(name)
        function = getattr(owner, name) if own is None else own
        if not callable(function):
            raise TypeError(f"{owner!r} has no function {name!r}")
        self._replaced.append((owner, name, own))
        setattr(owner, name, self._charged(function, part))

    def _charged(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        seconds, calls, inside, now = self.seconds, self.calls, self._inside, self._now

        @wraps(function, assigned=())
        def charged(*given: Any, **named: Any) -> Any:
            inside.append(0.0)
            start = now()
            try:
                return function(*given, **named)
            finally:
                spent = now() - start
                seconds[part] += spent - inside.pop()
                calls[part] += 1
                if inside:
                    inside[-1] += spent

        return charged

    @contextmanager
    def running(self) -> Iterator[None]:
        """Charge what no part has been charged for to ``Python between``."""
        self.seconds.clear()
        self.calls.clear()
        self._inside.append(0.0)
        start = self._now()
        try:
            yield
        finally:
            self.seconds[_OTHER] += self._now() - start - self._inside.pop()

    def stop(self) -> None:
        """Put everything back."""
        for owner, name, own in reversed(self._replaced):
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
        self._replaced.clear()
