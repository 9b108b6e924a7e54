"""A model's reducer chosen on the validation split, before the policy on top of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.rows.choose import calibrate_reducer
from tokenexit.calibration.rows.found import FoundReducer
from tokenexit.calibration.sampling import sample

REDUCER = "reducer.json"
"""Where a run keeps what was tried of its reducer."""


def reduce_first(
    model: Any, split: Any, config: CalibrateConfig, *, exits: bool, **options: Any
) -> tuple[FoundReducer | None, CalibrateConfig]:
    """Choose the model's reducer if that is asked, and use it.

    Unless the reducer is told what to keep, it may lose all that may be lost where nobody leaves
    early, and half of it where the policy is to lose the rest. What the policy has to keep is then
    a share of the quality with the reducer, so that both together keep what was asked.

    Args:
        model: Gets the reducer.
        split: Texts with right answers.
        config: What is asked of reducer and policy.
        exits: Whether a policy will be calibrated on top.
        options: Of ``calibrate_reducer``.

    Returns:
        What was found, None unless asked for, and what to ask of the policy.

    Raises:
        UserError: As ``calibrate_reducer``.
    """
    goal = config.reducer
    if goal.by is None:
        return None, config
    kind, asked = config.target
    if goal.min_quality is None and goal.speedup is None and kind == "min_quality":
        goal = replace(goal, min_quality=(1 + asked) / 2 if exits else asked)
    texts = split if config.limit is None else sample(split, config.limit)
    found = calibrate_reducer(model, texts, goal, **options)
    model.use_reducer(found.reducer)
    if kind == "min_quality":
        left = min(asked / max(found.chosen.relative_quality, 1e-9), 1.0)
        config = replace(config, min_quality=left)
    return found, config
