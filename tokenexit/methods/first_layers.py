"""The first layers only: what every method has to beat."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Baseline


@METHODS.register("first_layers")
class FirstLayers(Baseline):
    """Everybody stops at the same exit of a network whose exits were trained together."""

    checked = "a depth for all: tests/policies/test_criteria.py"
    policies = ({"name": "assigned_depth"},)
    regression = ({"name": "assigned_depth"},)
