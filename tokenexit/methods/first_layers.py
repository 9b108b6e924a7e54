"""The first layers only: what every method has to beat."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("first_layers")
class FirstLayers(Method):
    """Everybody stops at the same exit of a network whose exits were trained together."""

    paper = "static baseline"
    fidelity = "baseline"
    checked = "a depth for all: tests/policies/test_criteria.py"
    heads = {"name": "linear"}
    train = {"objective": {"name": "joint", "weights": "uniform"}}
    policies = ({"name": "assigned_depth"},)
    regression = ({"name": "assigned_depth"},)
