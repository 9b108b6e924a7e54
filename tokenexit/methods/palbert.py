"""PALBERT: a learned distribution over exits, left at its quantile."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("palbert")
class PALBERT(Method):
    """Q-exit: leave once the mass of having left is large (Balagansky and Gavrilov 2022).

    The paper shares one class head and one pooler among all exits; here each has its own head, and
    heads and gate read states as they are. In the released code the gate is twice as wide as the
    state, and the top leaves with its own gate's share of what is left; here the gate is 64 wide
    and the top takes all, so that the shares add up to one.
    """

    paper = "Balagansky and Gavrilov 2022"
    fidelity = (
        "class heads not shared, a gate 64 wide; the top takes what is left "
        "(released: its gate's share)"
    )
    checked = (
        "loss by formula: tests/objectives/test_published_objectives.py; exit by hand: "
        "tests/policies/test_published.py"
    )
    units = ("text", "word")
    heads = {"name": "linear", "gate": {"name": "pair"}}
    train = {"objective": {"name": "palbert"}}
    policies = ({"name": "q_exit"},)
