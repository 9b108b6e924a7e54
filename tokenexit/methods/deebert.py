"""DeeBERT: the network first, then exits on the frozen network; entropy."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("deebert")
class DeeBERT(Method):
    """Entropy below a threshold at exits trained on a frozen network (Xin et al. 2020).

    The paper trains the two stages one after the other to the end; here they share the schedule,
    three fifths to the first. Its poolers start from the backbone's, ours from the identity.
    """

    paper = "Xin et al. 2020"
    fidelity = (
        "both stages share one schedule; poolers start from the identity, not from the backbone's"
    )
    checked = (
        "the first stage frozen bit for bit in the second: "
        "tests/objectives/test_two_stage.py; entropy: tests/policies/test_criteria.py"
    )
    units = ("text", "word")  # a generator's exits have no heads of their own to train
    heads = {"name": "pooled"}
    train = {"objective": {"name": "two_stage"}}
    policies = ({"name": "entropy"},)
