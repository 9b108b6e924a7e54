"""TOKEE: words leave when their neighbourhood is certain, and are copied."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("tokee")
class TOKEE(Method):
    """Windows of words, and training on halted and copied states (Li et al. 2021).

    The paper draws exits once from an earlier model; here they are drawn on-line from the model
    being trained. Its released code doubles the threshold in the upper half of the layers, which
    the paper does not say; here it is the same everywhere. Its flooding of the loss is left out.
    Its README copies states from before a layer's norm and gives them each later layer's; here they
    are copied as that layer finished them, which is the other form that the code has.
    """

    paper = "Li et al. 2021"
    fidelity = (
        "exits drawn on-line, one threshold at all layers, no flooding, states "
        "copied after the norm"
    )
    checked = (
        "windows of words: tests/policies/test_combinators.py; copied states in training: "
        "tests/objectives/test_halt_and_copy.py"
    )
    units = ("word",)
    policies = ({"name": "window", "policy": {"name": "entropy"}, "size": 5},)
    train = {"objective": {"name": "halt_and_copy", "policy": policies[0], "weights": "depth"}}
