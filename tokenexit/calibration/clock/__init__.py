"""Calibration by the clock: what this machine takes for a layer, a head, a question."""

from __future__ import annotations
