"""CAT: a small network learns whether an exit agrees with the top, and a promise sets it."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("cat")
class CAT(Method):
    """A meta classifier, and a threshold with a promise about unseen texts (Schuster et al. 2021).

    At most one text in twenty differs from full depth, on average over calibrations; another
    share is ``calibrate.risk``. The released code takes a fine-tuned network that stays as it is,
    trains exits on it, then the meta classifier on texts of its own; here all three learn
    together, so that full depth is another network than one without exits. There the meta
    classifier also sees its class at earlier exits, and the threshold is a quantile over those
    texts alone at which some exit disagrees, which is stricter than the theorem that is followed
    here; its exits may narrow states to 32 numbers and have temperatures. In a tagger words leave
    alone, which the paper has not: there the promise is about whole sentences, and is kept by real
    runs. A generator's tokens have no such gate.
    """

    paper = "Schuster et al. 2021"
    fidelity = (
        "network, exits and gate learn together, released: one after another, "
        "frozen; no class history"
    )
    checked = (
        "quantile by hand, promise in simulation: tests/calibration/test_conformal.py; gate: "
        "tests/heads/test_gates.py"
    )
    units = ("text", "word")
    heads = {"name": "linear", "gate": {"name": "meta"}}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "learned_gate"},)
    calibrate = {"risk": 0.05}
