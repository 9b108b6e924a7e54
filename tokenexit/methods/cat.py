"""CAT: a small network learns whether an exit agrees with the top, and a promise sets it."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("cat")
class CAT(Method):
    """A meta classifier, and a threshold with a promise about unseen texts (Schuster et al. 2021).

    As released, one after another: the network is fine-tuned and stays as it is, without dropout;
    narrow exits are trained on it, by the mean of their cross-entropies; each gets a temperature on
    texts of its own; and the meta classifier, one for each exit, learns on a third share of the
    training texts whether the exit agrees with the top. At most one text in twenty differs from
    full depth, on average over calibrations; another share is ``calibrate.risk``. There the
    threshold is a quantile over those texts alone at which some exit disagrees, a promise about
    such texts that is stricter than the paper's theorem, which is followed here:
    ``calibrate.risk_among=disagreeing`` asks for theirs. Shares of the texts are ours, where the
    released code reads files. In a tagger words leave alone, which the paper has not: there the
    promise is about whole sentences, and is kept by real runs. A generator's tokens have no such
    gate.
    """

    paper = "Schuster et al. 2021"
    fidelity = (
        "quantile over all texts, by the theorem (risk_among=disagreeing as released); shares ours"
    )
    checked = (
        "frozen network, class history, quantiles by hand: tests/methods/test_cat.py; coverage: "
        "tests/calibration/test_conformal.py"
    )
    units = ("text", "word")
    heads = {
        "name": "bottleneck",
        "temperature": "phase",
        "gate": {"name": "meta_history"},
    }
    train = {
        "objective": {"name": "joint", "weights": "uniform"},
        "splits": {"exits": 0.7, "temperatures": 0.1, "gate": 0.2},
        "phases": [
            {"objective": {"name": "single"}, "split": "exits", "freeze": ["gate"]},
            {"freeze": ["network", "top", "gate"], "split": "exits"},
            {
                "freeze": ["network", "top", "heads"],
                "split": "gate",
                "prepare": [{"name": "fit_heads", "split": "temperatures"}],
            },
        ],
    }
    policies = ({"name": "learned_gate"},)
    calibrate = {"risk": 0.05}
