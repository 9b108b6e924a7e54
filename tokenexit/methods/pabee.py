"""PABEE: the same prediction several exits in a row."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("pabee")
class PABEE(Method):
    """Patience: leave once the prediction has not changed for some exits (Zhou et al. 2020).

    Exits are trained together, each weighted by its depth. The released code shares one pooler
    among all exits, the network's own; here the top has that, and those below it a copy.
    """

    paper = "Zhou et al. 2020"
    fidelity = "exits below the top share a copy of its pooler, released: its pooler itself"
    checked = "patience by hand and by a plain loop: tests/policies/test_criteria.py"
    heads = {"name": "pooled", "start": "backbone", "shared": "dense"}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "patience"},)
    regression = ({"name": "value_patience"},)
