"""TangoBERT: a small model, and a large one for what it is not sure of."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("tangobert")
class TangoBERT(Method):
    """Two complete models and a threshold on the confidence of the first (Mamou et al. 2022).

    Each is fine-tuned alone; texts that pass are batched anew. The paper takes two models of
    different sizes; here the first is the lowest two layers of the network, unless ``stages`` names
    another ``model``.
    """

    paper = "Mamou et al. 2022"
    fidelity = "first model: two layers cut from the network, unless stages names one"
    checked = "each text by the first model that is sure: tests/models/test_cascade.py"
    units = ("text",)
    train = {"objective": {"name": "single"}}
    stages = ({"keep_layers": 2}, {})
    policies = ({"name": "max_prob"},)
