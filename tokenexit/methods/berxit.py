"""BERxiT: alternating training, and a gate that learns when to leave."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("berxit")
class BERxiT(Method):
    """A shared gate says whether an exit is to be trusted (Xin et al. 2021).

    Steps train the top alone and all exits in turn; beside them the gate learns, by squared
    error, whether each exit is wrong. It reads the state itself; the released one reads it pooled.
    Poolers start from the network's own, where it has one.
    """

    paper = "Xin et al. 2021"
    fidelity = "the gate reads the bare state, the released one a pooled one"
    checked = (
        "odd and even steps: tests/objectives/test_joint.py; what the gate is taught: "
        "tests/heads/test_gates.py"
    )
    heads = {"name": "pooled", "start": "backbone", "gate": True}
    train = {"objective": {"name": "alternating"}}
    policies = ({"name": "learned_gate"},)
    regression = ({"name": "learned_gate"},)
