"""ELBERT: learned weights of the exits, and a window of confidences over layers."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("elbert")
class ELBERT(Method):
    """Leave when sure, or when the last exits agree on a trend (Xie et al. 2021).

    The paper shares one exit layer, as here those below the top do, and serves two classes, where
    here the window follows whatever class is named. The paper's window of eight exits is for deeper
    networks than most that are served here: it is three.
    """

    paper = "Xie et al. 2021"
    fidelity = "one head for all exits but the top, which has its own; a window of three, not eight"
    checked = (
        "windows by hand and the published loop: tests/policies/test_published.py; weights: "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")
    heads = {"name": "pooled", "start": "backbone", "shared": "all"}
    train = {"objective": {"name": "learned_weights"}}
    policies = ({"name": "confidence_window", "size": 3},)
