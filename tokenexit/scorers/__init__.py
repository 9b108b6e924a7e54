"""Scorers: small networks that say of each row at a layer whether it is needed further."""

from __future__ import annotations

from tokenexit.scorers.base import SCORERS, RowScorer, build_scorer
from tokenexit.scorers.stack import RowScorers

__all__ = ["SCORERS", "RowScorer", "RowScorers", "build_scorer"]
