"""A certificate in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenexit.wording.naming import of_texts


def certificate_sentences(calibration: Mapping[str, Any], checked: bool = False) -> list[str]:
    """What the certificate of a model says, and where it ends; nothing where there is none.

    Args:
        calibration: As ``calibration.json`` holds it.
        checked: Whether it was derived anew just now, and holds.
    """
    told = calibration.get("certificate")
    if not isinstance(told, Mapping):
        return []
    texts = f"{_tested(told)} of the {told.get('split')} split"
    check = "; `tokenexit certify MODEL --check` derives it anew from what was counted"
    says = "Its certificate says"
    if checked:
        check, says = "", "The certificate holds. It says"
    if not told.get("certified"):
        return [f"{says} that no exit passed on {texts}{check}."]
    about = (
        f"is about this policy, in {told.get('precision')} on {told.get('device')}, and no other"
    )
    if _said(calibration, told):
        return [f"The certificate beside the model {about}{check}."]
    found = f"{says}, from {texts}: {told.get('promise')}. It {about}{check}."
    used = [str(name) for name in told.get("used_for") or ()]
    if used:
        found += f" But the same texts had served for {', '.join(used)} before."
    unknown = [str(name) for name in told.get("not_known") or ()]
    if unknown:
        found += f" Whether they had served for {' or '.join(unknown)} is not known."
    if trained := told.get("trained_on"):
        found += f" {trained} of them {'stands' if trained == 1 else 'stand'} in the training split"
        found += " as well."
    return [found]


def _tested(told: Mapping[str, Any]) -> str:
    """How many texts, and of how many documents where these counted."""
    count, unit = told.get("texts"), str(told.get("unit", "texts"))
    texts = of_texts(count) if isinstance(count, int) else f"{count} texts"
    return texts if unit == "texts" else f"{of_texts(int(told['units']), unit)} ({texts})"


def _said(calibration: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether the calibration itself made that promise on those texts."""
    promise = calibration.get("promise")
    if not isinstance(promise, Mapping):
        return False
    here = promise.get("tested", promise.get("promise"))
    return here == told.get("promise") and calibration.get("split") == told.get("split")
