"""PALBERT: a learned distribution over exits, left at its quantile."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("palbert")
class PALBERT(Method):
    """Q-exit: leave once the mass of having left is large (Balagansky and Gavrilov 2022).

    The paper shares one class head among all exits; here each has its own.
    """

    paper = "Balagansky and Gavrilov 2022"
    units = ("text", "word")
    heads = {"name": "linear", "gate": {"name": "pair"}}
    train = {"objective": {"name": "palbert"}}
    policies = ({"name": "q_exit"},)
