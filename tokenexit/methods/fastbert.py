"""FastBERT: a frozen network whose exits imitate its top."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("fastbert")
class FastBERT(Method):
    """Self-distillation, for which texts need no labels; entropy (Liu et al. 2020).

    The paper's student classifiers narrow the state to 128 numbers and attend over all tokens;
    here they narrow it and read their own row only, so that a row's answer does not hang on rows
    that have left. Both stages share one schedule, three fifths to the first, where the paper's run
    one after the other.
    """

    paper = "Liu et al. 2020"
    fidelity = (
        "students read their own row, the paper's attend over tokens; both stages "
        "share one schedule"
    )
    checked = (
        "the frozen network, loss by formula: tests/objectives/test_staged_objectives.py, "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")
    heads = {"name": "mlp", "inner": 128}
    train = {"objective": {"name": "frozen_distillation"}}
    policies = ({"name": "entropy"},)
