"""A certificate in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def certificate_sentences(calibration: Mapping[str, Any]) -> list[str]:
    """What the certificate of a model says, and where it ends; nothing where there is none.

    Args:
        calibration: As ``calibration.json`` holds it.
    """
    told = calibration.get("certificate")
    if not isinstance(told, Mapping):
        return []
    texts = f"{told.get('texts')} texts of the {told.get('split')} split"
    check = "`tokenexit certify MODEL --check` derives it anew from what was counted"
    if not told.get("certified"):
        return [f"Its certificate says that no exit passed on {texts}; {check}."]
    about = (
        f"is about this policy, in {told.get('precision')} on {told.get('device')}, and no other"
    )
    if _said(calibration, told):
        return [f"The certificate beside the model {about}; {check}."]
    found = f"Its certificate says, from {texts}: {told.get('promise')}. It {about}; {check}."
    used = [str(name) for name in told.get("used_for") or ()]
    if used:
        found += f" But the same texts had served for {', '.join(used)} before."
    return [found]


def _said(calibration: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether the calibration itself made that promise on those texts."""
    promise = calibration.get("promise")
    here = promise.get("promise") if isinstance(promise, Mapping) else None
    return here == told.get("promise") and calibration.get("split") == told.get("split")
