"""Differ from full depth on so many unseen texts at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.promises.base import PROMISES, Promise, Seen, beside, number
from tokenexit.wording.naming import of_texts, percent


@PROMISES.register("risk")
class Risk(Promise):
    """A share of texts, or of a text's words with ``risk_of: words``; certified by statistics."""

    place: ClassVar[int] = 4
    at_least: ClassVar[bool] = False

    def check(self, asked: float) -> None:
        """See ``Promise``."""
        if not 0 < asked < 1:
            raise UserError(f"calibrate.risk must be between 0 and 1, not {asked!r}.")

    def measured(self, seen: Seen) -> float | None:
        """Texts that differ; ``verdict`` knows whether words were meant."""
        return seen.changed

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        """See ``Promise``; where a guarantee is what was tested, that says it."""
        if target.get("guarantee"):
            return ""
        what = "of a text's words" if _by_words(target) else "of unseen texts"
        return f"let at most {100 * target['risk']:.4g}% {what} differ from full depth"

    def told(self, value: float, asked: float, past: bool) -> str:
        """See ``Promise``."""
        return f"{beside(value, asked)} of the texts differ from full depth"

    def verdict(self, target: Mapping[str, Any], seen: Seen, past: bool) -> str:
        """See ``Promise``; of the texts that it was chosen on, ``grounds`` tells."""
        asked, lost = target["risk"], seen.words if _by_words(target) else seen.changed
        if lost is None or past:
            return ""
        what = "of a text's words" if _by_words(target) else "of the texts"
        return (
            f"{beside(lost, asked)} {what} differ from full depth, "
            f"{'within' if lost <= asked else 'more than'} the {100 * asked:.4g}% promised"
        )

    def grounds(self, calibration: Mapping[str, Any]) -> list[str]:
        """What the promise about unseen texts says and rests on."""
        promise, target = calibration.get("promise"), calibration.get("target") or {}
        if not isinstance(promise, Mapping) or target.get("guarantee"):
            return []
        never = (calibration.get("policy") or {}).get("name") == "never"
        if never and calibration.get("reached"):
            return ["Full depth keeps the promise."]
        if not calibration.get("reached"):
            return [f"Only full depth keeps the promise: {promise.get('promise')}."]
        bound = number(promise.get("bound"))
        return [
            f"The promise, for texts drawn as those were: {promise.get('promise')}. It rests on "
            f"{_texts(promise)} (bound "
            f"{percent(bound, 2)}; {promise.get('method')})."
        ]


def _texts(promise: Mapping[str, Any]) -> str:
    """How many there are, and how many differ."""
    count, changed = promise.get("n"), promise.get("texts_changed")
    unit = str(promise.get("unit", "texts"))
    tested = of_texts(count, unit) if isinstance(count, int) else f"{count} {unit}"
    return f"{tested}, of which {changed} {'differs' if changed == 1 else 'differ'}"


def _by_words(target: Mapping[str, Any]) -> bool:
    return target.get("risk_of") == "words"
