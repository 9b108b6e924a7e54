"""Random exits: what any criterion has to beat."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("random_exit")
class RandomExit(Method):
    """Every row leaves at each exit with the same chance, whatever it says."""

    paper = "static baseline"
    fidelity = "baseline"
    checked = "exits are geometric: tests/policies/test_published.py"
    heads = {"name": "linear"}
    train = {"objective": {"name": "joint", "weights": "uniform"}}
    policies = ({"name": "random_exit"},)
