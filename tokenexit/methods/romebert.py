"""RomeBERT: self-distillation in one stage, with gradients that do not fight."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("romebert")
class RomeBERT(Method):
    """Soft targets from the top and gradient regularisation; entropy (Geng et al. 2021)."""

    paper = "Geng et al. 2021"
    heads = {"name": "pooled"}
    train = {"objective": {"name": "gradient_projection"}}
    policies = ({"name": "entropy"},)
