"""SENTEE: a sentence leaves when its least certain word is certain."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("sentee")
class SENTEE(Method):
    """All words of a sentence leave together (Li et al. 2021).

    The sentence counts as its least certain word; exits are trained together, weighted by depth.
    """

    paper = "Li et al. 2021"
    fidelity = "as published"
    checked = "a sentence leaves as one: tests/policies/test_combinators.py"
    units = ("word",)
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "per_sentence", "policy": {"name": "entropy"}},)
