"""A policy as a reader would say it: ``entropy below 0.12, three exits in a row``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from tokenexit.policies.base import POLICIES, Policy
from tokenexit.wording.naming import counted, policy_text

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def policy_words(policy: Any, threshold: str = "") -> str:
    """What a policy asks, in words; in one line of names where its class does not say.

    Args:
        policy: Its plain data, as mapping or JSON text; anything else is shown as it is.
        threshold: What to write in the place of thresholds, which are then left out.
    """
    if isinstance(policy, Policy):
        policy = policy.to_config()
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except ValueError:
            return policy
    if not isinstance(policy, Mapping):
        return policy_text(policy)
    cls = dict(POLICIES.items()).get(str(policy.get("name")))
    template = vars(cls).get("in_words") if cls else None  # a subclass may ask something else
    if cls is None or not template:
        return policy_text(policy)
    try:
        told = {key: _told(value, threshold) for key, value in policy.items()}
        if threshold and cls.own_threshold is not None:
            told[cls.own_threshold.field] = _Hidden(threshold)
        return template.format_map({**_usual(cls), **told})
    except (KeyError, ValueError, TypeError):  # data of another version, or by hand
        return policy_text(policy)


class _Count(int):
    """``{:d}`` is a number, ``{:exit}`` so many exits in words."""

    def __format__(self, spec: str) -> str:
        if spec in ("", "d"):
            return f"{int(self)}"
        several = counted(self, spec).partition(" ")[2]
        return f"{_NUMBERS[self] if 0 <= self <= 10 else int(self)} {several}"


class _Hidden(str):
    """Stands for a number, whatever is counted."""

    def __format__(self, spec: str) -> str:
        return f"{self} {spec}s" if len(spec) > 1 else str(self)


def _usual(cls: type[Policy]) -> dict[str, Any]:
    """Fields as they are where a file leaves them out."""
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    return {f.name: _told(f.default) for f in fields if f.default is not dataclasses.MISSING}


def _told(value: Any, threshold: str = "") -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return _Count(value)
    if isinstance(value, Policy | Mapping):
        return policy_words(value, threshold)
    if isinstance(value, list | tuple):
        return _listed(value, threshold)
    return policy_text(value)


def _listed(values: list[Any] | tuple[Any, ...], threshold: str) -> str:
    """Policies, named policies, or how long a table is."""
    if all(isinstance(value, Policy | Mapping) for value in values):
        return "; ".join(policy_words(value, threshold) for value in values)
    if all(isinstance(v, list | tuple) and isinstance(v[-1], Policy | Mapping) for v in values):
        return "".join(f"{name}: {policy_words(inner, threshold)}; " for name, inner in values)
    return counted(len(values), "entry", "entries")
