"""What leaves at an exit, one word for one thing; and what each was called before, a level."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

PolicyUnit = Literal["word", "token", "text", "number"]
"""A word, a generated token, a text; a text of which exits tell a number."""

UNIT_OF = {"token": "word", "step": "token", "sentence": "text", "value": "number"}
"""Units by the level of before, as files and settings of comparisons say it still."""

LEVEL_OF = {unit: level for level, unit in UNIT_OF.items()}


def units_of(levels: str | Iterable[str]) -> tuple[str, ...]:
    """Levels of a plug-in as units; what is neither stays, for checks to refuse."""
    levels = (levels,) if isinstance(levels, str) else levels
    return tuple(UNIT_OF.get(level, level) for level in levels)


def levels_of(units: str | Iterable[str]) -> tuple[str, ...]:
    """The other way round, for plug-ins that ask."""
    units = (units,) if isinstance(units, str) else units
    return tuple(LEVEL_OF.get(unit, unit) for unit in units)
