"""Depth-Adaptive Transformer: the first exit predicts at which layer a token leaves."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("depth_adaptive_multinomial")
class DepthAdaptiveMultinomial(Method):
    """The multinomial halting distribution of a token, decided at the first exit.

    See ``depth_adaptive``. A token runs to the likeliest layer, as the first exit's state predicts
    it; the calibrated price of a layer is ours, and 0 is the paper's.
    """

    paper = "Elbayad et al. 2020"
    fidelity = "exits share a head, as on WMT; a calibrated price on the argmax; none by sequence"
    checked = "distributions, oracles and rules by hand: tests/objectives/test_exit_distribution.py"
    units = ("token",)
    train = {
        "objective": {
            "name": "exit_distribution",
            "oracle": "correctness",
            "halting": "multinomial",
        },
        "phases": [{"objective": {"share": 0.0}}, {}],
    }
    recipe = {"depth": True}
    policies = ({"name": "likeliest_depth"},)
