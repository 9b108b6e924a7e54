"""What numbers a setting may be, told beside its help where the setting is declared."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError

SEED = 2**32 - 1
"""The largest seed that numpy takes."""


@dataclass(frozen=True)
class Limits:
    """A range of numbers; None where it has no end.

    Attributes:
        low: The least.
        high: The most.
        above: Below all of them.
        below: Above all of them.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    @classmethod
    def of(cls, field: dataclasses.Field[Any]) -> Limits:
        """Those that a field was declared with."""
        return field.metadata.get("limits", ANY_NUMBER)

    def check(self, name: str, value: Any) -> None:
        """Refuse a number out of range; in a list, any of them. What is no number passes.

        Raises:
            UserError: Says what is allowed.
        """
        if self == ANY_NUMBER:
            return
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, int | float) and not self._allows(number):
                raise UserError(f"{name} must be {self}, not {number!r}.")

    def _allows(self, value: float) -> bool:
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """In words: ``1 or more``, ``from 0 to below 1``."""
        if self.low is not None:
            if self.high is None and self.below is None:
                return f"{self.low} or more"
            return f"from {self.low} to {self._end('', 'below ')}"
        if self.above is not None:
            if self.high is None and self.below is None:
                return f"above {self.above}"
            if self.below is not None:
                return f"between {self.above} and {self.below}"
            return f"above {self.above} and at most {self.high}"
        return self._end("at most ", "below ")

    def _end(self, most: str, below: str) -> str:
        return f"{below}{self.below}" if self.high is None else f"{most}{self.high}"


ANY_NUMBER = Limits()


THREADS = 4096
"""More than any machine has; far more end a process rather than speed it up."""


def about(text: str, **limits: float | None) -> dict[str, Any]:
    """Metadata of a field: what ``--help`` says of it, and the ``Limits`` of its numbers."""
    return {"help": text, "limits": Limits(**limits)}


def setting(default: Any, text: str, **limits: float | None) -> Any:
    """A field of a configuration.

    Args:
        default: Its value, or what makes one.
        text: As of ``about``.
        limits: Likewise.
    """
    made: dict[str, Any] = {"default_factory" if callable(default) else "default": default}
    return dataclasses.field(**made, metadata=about(text, **limits))


def check_limits(config: Any, prefix: str = "") -> None:
    """Refuse a number out of the range its field was declared with; for ``__post_init__``.

    Args:
        config: A dataclass.
        prefix: Dotted name of the group it is, with its dot.

    Raises:
        UserError: Names the setting, and says what is allowed.
    """
    for field in dataclasses.fields(config):
        Limits.of(field).check(f"{prefix}{field.name}", getattr(config, field.name))
