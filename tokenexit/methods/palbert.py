"""PALBERT: a learned distribution over exits, left at its quantile."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("palbert")
class PALBERT(Method):
    """Q-exit: leave once the mass of having left is large (Balagansky and Gavrilov 2022).

    One class head and one pooler for all exits below the top, which keeps the network's own, where
    the paper shares them with it. The gate, twice as wide as the state, reads it as it is, not
    pooled. In the released code the top leaves with its own gate's share of what is left; here it
    takes all, so that the shares add up to one.
    """

    paper = "Balagansky and Gavrilov 2022"
    fidelity = (
        "the gate reads the bare state; the top has its own head and takes what is left (released: "
        "a share)"
    )
    checked = (
        "loss by formula: tests/objectives/test_published_objectives.py; exit by hand: "
        "tests/policies/test_published.py"
    )
    units = ("text", "word")
    heads = {
        "name": "pooled",
        "shared": "all",
        "start": "backbone",
        "gate": {"name": "pair", "wide": True},
    }
    train = {"objective": {"name": "palbert"}}
    policies = ({"name": "q_exit"},)
