"""DeeBERT: the network first, then exits on the frozen network; entropy."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("deebert")
class DeeBERT(Method):
    """Entropy below a threshold at exits trained on a frozen network (Xin et al. 2020).

    Two trainings one after the other, each to its end: the network with its top, then the exits on
    the network as it is. Poolers start from the network's own, where it has one: networks of
    taggers have none, and theirs start from the identity. The frozen network computes without
    dropout.
    """

    paper = "Xin et al. 2020"
    fidelity = "the frozen network computes without dropout, the released one in training mode"
    checked = (
        "the first stage frozen bit for bit in the second: "
        "tests/objectives/test_two_stage.py; entropy: tests/policies/test_criteria.py"
    )
    units = ("text", "word")  # a generator's exits have no heads of their own to train
    heads = {"name": "pooled", "start": "backbone"}
    train = {
        "objective": {"name": "single"},
        "phases": [
            {},
            {"objective": {"name": "joint", "weights": "uniform"}, "freeze": ["network", "top"]},
        ],
    }
    policies = ({"name": "entropy"},)
