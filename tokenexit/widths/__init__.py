"""Widths: how many of its heads and neurons each layer of a network keeps."""

from __future__ import annotations

from tokenexit.widths.base import Entry, Part, Widths, count_of, places_of
from tokenexit.widths.build import WidthsLike, from_config

__all__ = ["Entry", "Part", "Widths", "WidthsLike", "count_of", "from_config", "places_of"]
