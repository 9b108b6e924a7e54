"""The name by which generators were calibrated; ``calibrate`` takes every kind of model."""

from __future__ import annotations

from tokenexit.calibration.search import calibrate as calibrate_texts

__all__ = ["calibrate_texts"]
