"""Objectives: how were the exits trained?  Every module here registers its own members."""

from __future__ import annotations

from tokenexit.objectives.base import OBJECTIVES, Lesson, Objective, Occasion, from_config

__all__ = ["OBJECTIVES", "Lesson", "Objective", "Occasion", "from_config"]
