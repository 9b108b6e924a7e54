"""Policies: who halts now?  Every module of this folder registers its own members.

Members are reached by class, ``policies.Entropy(0.1)``, or by name, ``from_config``.
"""

from __future__ import annotations

from typing import Any

from tokenexit.policies.base import POLICIES, Knob, Policy, State, index_state
from tokenexit.policies.build import PolicyLike, from_config

__all__ = ["POLICIES", "Knob", "Policy", "PolicyLike", "State", "from_config", "index_state"]


def __getattr__(name: str) -> Any:
    members = _by_class_name()
    if name not in members:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return members[name]


def __dir__() -> list[str]:
    return sorted([*__all__, *_by_class_name()])


def _by_class_name() -> dict[str, type[Policy]]:
    return {member.__name__: member for _, member in POLICIES.items()}
