"""CALM: the softmax margin, with a threshold that loosens as a text grows."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("calm")
class CALM(Method):
    """Confident adaptive generation (Schuster et al. 2022).

    Exits share the vocabulary head and are trained together, weighted by depth. The paper's
    other two confidences are ``saturation`` and ``learned_gate``. Its classifier learns by
    cross-entropy on the finished model, ours beside the exits by squared error.

    The paper promises one of two things of unseen texts, at a level of 95%: *textual consistency*,
    that they are like full depth's, and *risk consistency*, that they are no worse against the
    references. Here both are asked for, by chrF, and tested by a betting bound, tighter than the
    paper's; amounts are ours. ``calibrate.guarantee`` asks for others, or for one of them.
    """

    paper = "Schuster et al. 2022"
    fidelity = (
        "the gate learns beside the exits by squared error, the paper's after them; both promises"
    )
    checked = (
        "decaying thresholds: tests/policies/test_decoding.py; weights by depth: "
        "tests/objectives/test_joint.py"
    )
    units = ("token",)
    heads = {"name": "linear", "gate": True}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    calibrate = {"guarantee": "chrf differs <= 0.1 with 95% and chrf loss <= 0.02 with 95%"}
    policies = (
        {"name": "decay", "policy": {"name": "margin"}},
        {"name": "saturation"},
        {"name": "learned_gate"},
    )
