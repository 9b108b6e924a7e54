"""FastBERT: a frozen network whose exits imitate its top."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("fastbert")
class FastBERT(Method):
    """Self-distillation, for which texts need no labels; entropy (Liu et al. 2020).

    The paper's student classifiers narrow the state to 128 numbers and attend over all tokens;
    here they narrow it and read their own row only, so that a row's answer does not hang on rows
    that have left. The stages are trainings one after the other, each to its end: the network with
    its top, then the students on the network as it is.
    """

    paper = "Liu et al. 2020"
    fidelity = "students read their own row, the paper's attend over tokens"
    checked = (
        "the frozen network, loss by formula: tests/objectives/test_staged_objectives.py, "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")
    heads = {"name": "mlp", "inner": 128}
    train = {
        "objective": {"name": "frozen_distillation", "split": 0.0},
        "phases": [{"objective": {"name": "single"}}, {"freeze": ["network", "top"]}],
    }
    policies = ({"name": "entropy"},)
