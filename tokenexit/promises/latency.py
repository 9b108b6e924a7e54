"""Take at most so long a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.promises.base import PROMISES, Promise, Seen
from tokenexit.wording.naming import milliseconds


@PROMISES.register("latency")
class Latency(Promise):
    """Milliseconds a text, as measured on this machine."""

    place: ClassVar[int] = 3
    strict_first: ClassVar[bool] = False
    at_least: ClassVar[bool] = False

    def check(self, asked: float) -> None:
        """See ``Promise``."""
        if not (asked > 0 and math.isfinite(asked)):
            raise UserError(f"calibrate.latency is a time in milliseconds above 0, not {asked!r}.")

    def measured(self, seen: Seen) -> float | None:
        """See ``Promise``."""
        return seen.ms

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        """See ``Promise``."""
        take = "keep the best quality that takes" if alone else "take"
        return f"{take} at most {target['latency']:.4g} ms a text"

    def told(self, value: float, asked: float, past: bool) -> str:
        """See ``Promise``."""
        return f"it took {milliseconds(value)} a text"
