"""Costs of operations on disk, to be used again on the same machine."""

from __future__ import annotations

import json
from pathlib import Path

from tokenexit.calibration.clock.cost_model import CostModel

COSTS = "cost_model.json"
"""Beside ``calibration.json``."""


def read_costs(path: Path) -> CostModel | None:
    """Costs that were measured before; None where there are none that can be read.

    They are measured again then, so nothing is lost but seconds.
    """
    try:
        return CostModel.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
