"""GAML-BERT: exits teach each other, and their lessons yield to the labels."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("gaml_bert")
class GAMLBERT(Method):
    """Gradient-aligned mutual learning; patience (Zhu et al. 2021).

    No code is public, and only the abstract was read. That every exit teaches every other, at
    which temperature, and that gradients are aligned matrix by matrix, is ours.
    """

    paper = "Zhu et al. 2021"
    fidelity = "after the abstract: who teaches whom, temperature and alignment by matrix are ours"
    checked = "loss and gradient by formula: tests/objectives/test_published_objectives.py"
    heads = {"name": "pooled"}
    train = {"objective": {"name": "mutual_distillation", "mode": "aligned"}}
    policies = ({"name": "patience"},)
