"""GAML-BERT: exits teach each other, and their lessons yield to the labels."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("gaml_bert")
class GAMLBERT(Method):
    """Gradient-aligned mutual learning; patience (Zhu et al. 2021)."""

    paper = "Zhu et al. 2021"
    heads = {"name": "pooled"}
    train = {"objective": {"name": "mutual_distillation", "mode": "aligned"}}
    policies = ({"name": "patience"},)
