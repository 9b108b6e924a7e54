"""Targets: what a context gate is taught to foretell. One file each."""

from __future__ import annotations

from tokenexit.context.targets.base import TARGETS, Target

__all__ = ["TARGETS", "Target"]
