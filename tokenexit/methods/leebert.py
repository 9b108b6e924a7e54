"""LeeBERT: exits teach each other, and the weight of each lesson is learned."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("leebert")
class LeeBERT(Method):
    """Mutual distillation with weights learned by cross-level optimisation; patience (Zhu 2021).

    No code is public, and only the abstract was read. How often weights are learned and where
    they start is ours; the paper splits the training set for it, here each batch is halved.
    """

    paper = "Zhu 2021"
    fidelity = (
        "after the abstract: when and on which texts weights are learned, and their start, are ours"
    )
    checked = (
        "the gradient through one step: tests/objectives/test_bilevel.py; loss by formula: "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")  # two levels of learning would double a generator's cost
    train = {"objective": {"name": "mutual_distillation", "mode": "learned"}}
    policies = ({"name": "patience"},)
