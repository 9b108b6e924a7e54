"""Losses: what may a promise be about?  Every module of this folder registers its own."""

from __future__ import annotations

from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss

__all__ = ["LOSSES", "Columns", "Loss"]
