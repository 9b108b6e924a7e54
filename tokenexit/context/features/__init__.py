"""Features: numbers of a row at an exit that cost next to nothing. One file each."""

from __future__ import annotations

from tokenexit.context.features.base import FEATURES, Earlier, Feature, Shape

__all__ = ["FEATURES", "Earlier", "Feature", "Shape"]
