"""ELBERT: learned weights of the exits, and a window of confidences over layers."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("elbert")
class ELBERT(Method):
    """Leave when sure, or when the last exits agree on a trend (Xie et al. 2021).

    The paper shares one exit layer and serves two classes; here each exit has its own and the
    window follows whatever class is named. The paper's window of eight exits is for deeper networks
    than most that are served here: it is three.
    """

    paper = "Xie et al. 2021"
    fidelity = (
        "a head for each exit, where the paper shares one; a window of three exits, not eight"
    )
    checked = (
        "windows by hand and the published loop: tests/policies/test_published.py; weights: "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")
    heads = {"name": "pooled"}
    train = {"objective": {"name": "learned_weights"}}
    policies = ({"name": "confidence_window", "size": 3},)
