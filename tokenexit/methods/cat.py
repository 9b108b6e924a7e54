"""CAT: a small network learns whether an exit agrees with the top, and a promise sets it."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("cat")
class CAT(Method):
    """A meta classifier, and a threshold with a promise about unseen texts (Schuster et al. 2021).

    At most one text in twenty differs from full depth, on average over calibrations; another
    share is ``calibrate.risk``. The meta classifier learns beside the exits; on which data the
    paper trains it was not verified. In a tagger words leave alone, which the paper has not:
    there the promise is about whole sentences, and is kept by real runs. A generator's tokens
    have no such gate.
    """

    paper = "Schuster et al. 2021"
    units = ("text", "word")
    heads = {"name": "linear", "gate": {"name": "meta"}}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "learned_gate"},)
    calibrate = {"risk": 0.05}
