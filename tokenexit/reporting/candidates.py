"""The settings calibration tried: those run by the engine, and those only simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError
from tokenexit.policies.in_words import policy_words
from tokenexit.promises import Seen, promises_of


@dataclass(frozen=True)
class Tried:
    """One setting.

    Attributes:
        policy: In words.
        simulated: Quality on stored full-depth states.
        simulated_speedup: Layers saved there.
        quality: Quality of a real run.
        relative: Share of the full-depth quality.
        speedup: Layers saved.
        chosen: Whether it was taken.
        kept: Whether a real run met the target; None without one.
        foretold: Milliseconds a text, from what operations cost; None where nobody asked.
        ms: Milliseconds a text, of those that were timed.
    """

    policy: str
    simulated: float | None
    simulated_speedup: float | None
    quality: float | None
    relative: float | None
    speedup: float | None
    chosen: bool
    kept: bool | None
    foretold: float | None = None
    ms: float | None = None


def tried(calibration: Mapping[str, Any]) -> tuple[list[Tried], list[Tried]]:
    """Verified settings, the fastest first, and the rest as saved.

    Raises:
        UserError: The candidates are not what calibration writes.
    """
    rows = calibration.get("candidates") or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise UserError(
            "calibration.json: candidates should be a list of objects. Calibrate again."
        )
    # Simulation and run of one setting are saved apart; here they stand side by side.
    guesses = {_key(row): row for row in rows if row.get("quality_simulated") is not None}
    real = {_key(row): row for row in rows if row.get("verified")}
    verified = [
        _tried({**row, **_guess(guesses.get(key))}, calibration) for key, row in real.items()
    ]
    simulated = [_tried(row, calibration) for key, row in guesses.items() if key not in real]
    return sorted(verified, key=lambda row: -(row.speedup or 0)), simulated


def _key(row: Mapping[str, Any]) -> str:
    return json.dumps(row.get("policy"), sort_keys=True)


def _guess(row: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("quality_simulated", "depth_speedup_simulated")
    return {name: row.get(name) for name in names} if row else {}


def _tried(row: Mapping[str, Any], calibration: Mapping[str, Any]) -> Tried:
    verified = bool(row.get("verified"))
    target = calibration.get("target") or {}
    relative, speedup = row.get("relative_quality"), row.get("depth_speedup")
    seen = Seen(kept=relative, saved=speedup, ms=row.get("ms"))
    found = (promise.keeps(target[promise.name], seen) for promise in promises_of(target))
    kept = next((kept for kept in found if kept is not None), None) if verified else None
    return Tried(
        policy=policy_words(row.get("policy")),
        simulated=row.get("quality_simulated"),
        simulated_speedup=row.get("depth_speedup_simulated"),
        quality=row.get("quality"),
        relative=relative,
        speedup=speedup,
        chosen=verified and row.get("policy") == calibration.get("policy"),
        kept=kept,
        foretold=row.get("ms_foretold"),
        ms=row.get("ms"),
    )
