"""Keep a share of full depth's quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.promises.base import PROMISES, Promise, Seen, beside
from tokenexit.wording.naming import percent


@PROMISES.register("min_quality")
class MinQuality(Promise):
    """At least a share of the quality; with ``confidence``, in such a share of resamples."""

    place: ClassVar[int] = 0

    def check(self, asked: float) -> None:
        """See ``Promise``."""
        if not 0 < asked <= 1:
            raise UserError(f"calibrate.min_quality must be above 0 and at most 1, not {asked!r}.")

    def measured(self, seen: Seen) -> float | None:
        """See ``Promise``."""
        return seen.kept

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        """See ``Promise``; what it is promised as says it where it is promised."""
        if " kept >= " in (target.get("guarantee") or ""):
            return ""
        told = f"keep at least {100 * target['min_quality']:.4g}% of the full-depth quality"
        confidence = target.get("confidence")
        sure = "" if confidence is None else f" in {percent(confidence, 0)} of resamples"
        return told + sure

    def told(self, value: float, asked: float, past: bool) -> str:
        """See ``Promise``."""
        return f"it {'kept' if past else 'keeps'} {beside(value, asked)}"

    def verdict(self, target: Mapping[str, Any], seen: Seen, past: bool) -> str:
        """See ``Promise``."""
        if seen.kept is None and seen.texts:
            return "full depth scores 0, so there was nothing to keep"
        return super().verdict(target, seen, past)
