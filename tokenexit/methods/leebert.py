"""LeeBERT: exits teach each other, and the weight of each lesson is learned."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("leebert")
class LeeBERT(Method):
    """Mutual distillation with weights learned by cross-level optimisation; patience (Zhu 2021)."""

    paper = "Zhu 2021"
    units = ("text", "word")  # two levels of learning would double a generator's cost
    heads = {"name": "linear"}
    train = {"objective": {"name": "mutual_distillation", "mode": "learned"}}
    policies = ({"name": "patience"},)
