"""Decoding a corpus with rows that wait for others of their depth."""

from __future__ import annotations

from tokenexit.decoding.by_depth.corpus import Corpus, Search, Text
from tokenexit.decoding.by_depth.eager import EagerLanes
from tokenexit.decoding.by_depth.lanes import Lanes, Left
from tokenexit.decoding.by_depth.schedule import FullBatches, Round, Schedule, check_batching

__all__ = [
    "Corpus",
    "EagerLanes",
    "FullBatches",
    "Lanes",
    "Left",
    "Round",
    "Schedule",
    "Search",
    "Text",
    "check_batching",
]
