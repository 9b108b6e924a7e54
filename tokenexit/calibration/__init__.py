"""Calibration: from a promise the user can state to a policy that keeps it."""

from __future__ import annotations

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration
from tokenexit.calibration.search import calibrate

__all__ = ["CalibrateConfig", "Calibration", "calibrate"]
