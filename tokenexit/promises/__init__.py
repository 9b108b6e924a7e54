"""Promises: what can calibration be asked to keep?  Every module of this folder registers its own.

A promise is one file: which number of a run is held to what was asked, how a search goes about
it, and how it is worded.
"""

from __future__ import annotations

from tokenexit.promises.base import PROMISES, Promise, Seen, promises_of

__all__ = ["PROMISES", "Promise", "Seen", "promises_of"]
