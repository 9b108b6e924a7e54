"""Gates: small classifiers beside the exits that say when to leave."""

from __future__ import annotations

from tokenexit.gates.base import GATES, ExitGate, build_gate
from tokenexit.gates.linear import LinearGate

__all__ = ["GATES", "ExitGate", "LinearGate", "build_gate"]
