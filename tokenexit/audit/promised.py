"""What a model's calibration says of how to audit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.guarantees import parse
from tokenexit.policies import Policy, from_config

USUAL = 0.05
"""Share of texts that may differ where nothing was promised."""


def ladder_of(calibration: Mapping[str, Any] | None, policy: Policy) -> Sequence[Policy]:
    """The settings that were tested, from the safest to the one in use; that alone otherwise.

    Args:
        calibration: What the model keeps of its calibration.
        policy: The one in use.
    """
    promise = (calibration or {}).get("promise") or {}
    tested = [from_config(one) for one in promise.get("sequence") or ()]
    return tested[: tested.index(policy) + 1] if policy in tested else [policy]


def certified_of(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """What a certificate says of the same: its promises, and the settings that passed.

    Args:
        certificate: One that holds.
    """
    passed = certificate["sequence"][: certificate["certified"]]
    return {
        "target": {"guarantee": " and ".join(one["promise"] for one in certificate["promises"])},
        "promise": {"sequence": [one["policy"] for one in passed]},
    }


def allowed_of(calibration: Mapping[str, Any] | None) -> float | None:
    """The share of texts that may differ, where that was promised."""
    calibration = calibration or {}
    asked = (calibration.get("target") or {}).get("guarantee")
    for one in parse(asked) if asked else ():
        if one.loss == "differs" and one.every is None:
            return one.allowed
    target = calibration.get("target") or {}
    return target.get("risk") if target.get("risk_of", "text") == "text" else None
