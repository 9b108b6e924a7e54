"""FastBERT: a frozen network whose exits imitate its top."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("fastbert")
class FastBERT(Method):
    """Self-distillation, for which texts need no labels; entropy (Liu et al. 2020).

    The paper's student classifiers narrow the state to 128 numbers and attend over all tokens;
    here they narrow it and read their own row only, so that a row's answer does not hang on rows
    that have left.
    """

    paper = "Liu et al. 2020"
    units = ("text", "word")
    heads = {"name": "mlp", "inner": 128}
    train = {"objective": {"name": "frozen_distillation"}}
    policies = ({"name": "entropy"},)
