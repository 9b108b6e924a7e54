"""The name by which generators were calibrated; ``calibrate`` takes every kind of model."""

from __future__ import annotations

from typing import Any

from tokenexit.calibration.search import calibrate
from tokenexit.renamed import renamed


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"calibrate_texts": calibrate})
