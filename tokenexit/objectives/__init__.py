"""Objectives: how were the exits trained?  Every module here registers its own members."""

from __future__ import annotations

from typing import Any

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, from_config
from tokenexit.renamed import renamed

__all__ = ["OBJECTIVES", "BatchInfo", "BatchLoss", "Objective", "from_config"]


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"Lesson": BatchLoss, "Occasion": BatchInfo})
