"""Random exits: what any criterion has to beat."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Baseline


@METHODS.register("random_exit")
class RandomExit(Baseline):
    """Every row leaves at each exit with the same chance, whatever it says."""

    checked = "exits are geometric: tests/policies/test_published.py"
    policies = ({"name": "random_exit"},)
