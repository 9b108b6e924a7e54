"""The Length-Adaptive Transformer: fine-tuning, LengthDrop, and a search for numbers of rows."""

from __future__ import annotations

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.rows.config import ReducerGoal
from tokenexit.methods import settings_of
from tokenexit.objectives import from_config
from tokenexit.objectives.length_drop import LengthDrop
from tokenexit.reducers import Significance
from tokenexit.reducers import from_config as reducer_from


def test_its_stages_and_settings_are_those_published():
    told = settings_of("length_adaptive", "text")
    first, second = (from_config(phase["objective"]) for phase in told["train"]["phases"])
    assert first == from_config("single")
    assert second == LengthDrop(ratio=0.8, random=2, layer_drop=0.2, reverse=True)
    assert reducer_from(told["reducer"]) == Significance(1.0, own=True, least=2, fate="restore")
    goal = ReducerGoal(**told["calibrate"]["reducer"])
    assert goal == ReducerGoal("search", rounds=30, children=30, ratio=0.8)
    assert CalibrateConfig(reducer=goal).reducer.kept == 0.99
