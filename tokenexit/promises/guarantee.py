"""Hold with a stated probability on texts not yet seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.promises.base import PROMISES, Promise, Seen, number
from tokenexit.wording.naming import of_texts, times


@PROMISES.register("guarantee")
class GuaranteePromise(Promise):
    """What ``calibrate.guarantee`` says, tested on texts that chose nothing."""

    place: ClassVar[int] = 5

    def measured(self, seen: Seen) -> float | None:
        """Nothing that is compared here: it was tested."""
        return None

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        """See ``Promise``."""
        return f"promise {target['guarantee']}"

    def told(self, value: float, asked: float, past: bool) -> str:
        """See ``Promise``."""
        return ""

    def verdict(self, target: Mapping[str, Any], seen: Seen, past: bool) -> str:
        """See ``Promise``; ``grounds`` tells."""
        return ""

    def grounds(self, calibration: Mapping[str, Any]) -> list[str]:
        """What was tested, on how many texts, and what came out."""
        promise = calibration.get("promise")
        if not isinstance(promise, Mapping):
            return []
        if (calibration.get("policy") or {}).get("name") == "never" and calibration.get("reached"):
            return ["Full depth keeps the promise."]
        if not calibration.get("reached"):
            lacking = _lacking(promise)
            return [f"Only full depth keeps the promise{lacking}.", *_loose(calibration, promise)]
        tests = promise.get("tests") or []
        passed = [row for row in tests if all(one.get("passed") for one in row)]
        tested = of_texts(int(promise.get("n") or 0), str(promise.get("unit", "texts")))
        stopped = ", where the next failed" if len(passed) < len(tests) else ""
        return [
            f"The promise, for texts drawn as those were: {promise.get('promise')}. It was tested "
            f"on {tested}, setting by setting from the safest; {len(passed)} of "
            f"{len(tests)} passed{stopped}, and the last that did is used.",
            *_shared(promise),
            *_loose(calibration, promise),
        ]


def _shared(promise: Mapping[str, Any]) -> list[str]:
    """That the texts had chosen among models before, and what was done about it."""
    looks, at = promise.get("looks"), number(promise.get("tested_at"))
    if not looks or at is None:
        return []
    return [
        f"One of {looks} evaluated models was chosen on the same texts, so that settings were "
        f"tested with {100 * at:.4g}%."
    ]


def _loose(calibration: Mapping[str, Any], promise: Mapping[str, Any]) -> list[str]:
    """What a target on the same texts would have saved, and the promise costs."""
    if "loose" not in promise:
        return []
    here = number((calibration.get("measured") or {}).get("depth_speedup")) or 1.0
    found = promise["loose"]
    saved = None if not isinstance(found, Mapping) else number(found.get("depth_speedup"))
    if saved is None or saved <= here:
        return [f"It saves layers by {times(here)}; a target on these texts alone saves no more."]
    return [
        f"It saves layers by {times(here)}, and a target on these texts alone "
        f"(calibrate.loose=true) {times(saved)}: that is what the promise costs."
    ]


def _lacking(promise: Mapping[str, Any]) -> str:
    counts = {k: v for k, v in (promise.get("needed") or {}).items() if v}
    few = {name: count for name, count in counts.items() if count > (promise.get("n") or 0)}
    if not few:
        return ""
    name, count = max(few.items(), key=lambda item: item[1])
    needed = of_texts(count, str(promise.get("unit", "texts")))
    return f": {name} needs {needed} even if nothing is lost, and {promise.get('n')} tested it"
