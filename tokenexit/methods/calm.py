"""CALM: the softmax margin, with a threshold that loosens as a text grows."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("calm")
class CALM(Method):
    """Confident adaptive generation (Schuster et al. 2022).

    Exits share the vocabulary head and are trained together, weighted by depth. The paper's
    other two confidences are ``saturation`` and ``learned_gate``. Its classifier learns by
    cross-entropy on the finished model, ours beside the exits by squared error. The paper chooses
    thresholds that keep a promise about unseen texts: set ``calibrate.risk`` for one.
    """

    paper = "Schuster et al. 2022"
    fidelity = (
        "the gate learns beside the exits by squared error, the paper's after them; no risk is set"
    )
    checked = (
        "decaying thresholds: tests/policies/test_decoding.py; weights by depth: "
        "tests/objectives/test_joint.py"
    )
    units = ("token",)
    heads = {"name": "linear", "gate": True}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = (
        {"name": "decay", "policy": {"name": "margin"}},
        {"name": "saturation"},
        {"name": "learned_gate"},
    )
