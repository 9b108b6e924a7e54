"""Save layers by a factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.promises.base import PROMISES, Promise, Seen
from tokenexit.wording.naming import times


@PROMISES.register("speedup")
class Speedup(Promise):
    """Depth over mean exit layer."""

    place: ClassVar[int] = 2
    strict_first: ClassVar[bool] = False

    def check(self, asked: float) -> None:
        """See ``Promise``."""
        if not (asked >= 1 and math.isfinite(asked)):
            raise UserError(f"calibrate.speedup must be 1 or more, not {asked!r}.")

    def measured(self, seen: Seen) -> float | None:
        """See ``Promise``."""
        return seen.saved

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        """See ``Promise``."""
        return f"save layers by a factor of {target['speedup']:.4g}"

    def told(self, value: float, asked: float, past: bool) -> str:
        """See ``Promise``."""
        return f"it {'saved' if past else 'saves'} {times(value)}"
