"""Foresight: past-future heads, all taught alike, halted on their lead. A hypothesis of ours."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("foresight")
class Foresight(Method):
    """Three published ideas that had not met: a hypothesis, not a result.

    It was put together from what was best in the very tables it stands in (`recipes/results`), and
    was not tried on corpora and seeds that had no part in that. Heads read the mean of a text's or
    word's tokens at this exit and before it, and imitate later ones (Liao et al. 2021); all exits
    count alike with balanced gradients, as in ElasticBERT's fine-tuning (Liu et al. 2022), where
    the former lets later ones count more; and a row leaves on the lead of the first class over the
    second, which for many classes says more than entropy: that of a row torn between two of 77 is
    low.
    """

    paper = "this project, a hypothesis"
    fidelity = "own"
    checked = "its heads by hand: tests/heads/test_past.py"
    units = ("text", "word")
    heads = {"name": "past_future", "pool": "mean"}
    train = {
        "objective": {"name": "imitation", "weights": "uniform"},
        "gradient_equilibrium": True,
    }
    policies = ({"name": "margin"},)
