"""The Right Tool for the Job: calibrated probabilities over a mixture of layers."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("right_tool")
class RightTool(Method):
    """Leave when the largest probability, at a fitted temperature, is high (Schwartz et al. 2020).

    Every exit reads a learned mixture of the layers so far; its temperature is fitted to the
    validation split after training. The paper places exits at a few layers only: set
    ``exit_layers`` for that. The released code makes the mixture anew at every step, so that it
    never learns; the paper is followed.
    """

    paper = "Schwartz et al. 2020"
    fidelity = (
        "the paper's learned mixture, which the released code never trains; exits "
        "wherever they are set"
    )
    checked = (
        "temperatures: tests/heads/test_fitted.py; the mixture of layers by hand: "
        "tests/heads/test_past.py"
    )
    units = ("text", "word")  # a generator's exits have no heads of their own
    heads = {"name": "mixed"}
    train = {"objective": {"name": "joint", "weights": "uniform"}}
    policies = ({"name": "max_prob"},)
