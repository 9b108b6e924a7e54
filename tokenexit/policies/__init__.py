"""Policies: who halts now?  Every module of this folder registers its own members.

Members are reached by class, ``policies.Entropy(0.1)``, or by name, ``from_config``.
"""

from __future__ import annotations

from typing import Any

from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec, index_state
from tokenexit.policies.build import PolicyLike, from_config
from tokenexit.renamed import renamed

__all__ = [
    "POLICIES",
    "Policy",
    "PolicyLike",
    "State",
    "ThresholdSpec",
    "from_config",
    "index_state",
]


def __getattr__(name: str) -> Any:
    members = POLICIES.by_class()
    return members[name] if name in members else renamed(__name__, name, {"Knob": ThresholdSpec})


def __dir__() -> list[str]:
    return sorted([*__all__, *POLICIES.by_class()])
