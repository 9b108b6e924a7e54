"""CascadeBERT: complete models that learn to be sure of easy texts only."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("cascadebert")
class CascadeBERT(Method):
    """Complete models of two and of all layers, whose confidence is trained (Li et al. 2021).

    Beside the cross-entropy, a margin keeps the confidence on easy texts above that on hard ones.
    """

    paper = "Li et al. 2021"
    units = ("text",)
    train = {"objective": {"name": "difficulty_aware"}}
    stages = ({"keep_layers": 2}, {})
    policies = ({"name": "max_prob"},)
