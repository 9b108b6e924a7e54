"""Bounds: how sure may one be, from so many texts, that a promise holds?"""

from __future__ import annotations

from tokenexit.guarantees.bounds.base import BOUNDS, Bound, bound_for

__all__ = ["BOUNDS", "Bound", "bound_for"]
