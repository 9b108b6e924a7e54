"""RomeBERT: self-distillation in one stage, with gradients that do not fight."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("romebert")
class RomeBERT(Method):
    """Soft targets from the top and gradient regularisation; entropy (Geng et al. 2021).

    As in the released code, the conflict is taken out once over all matrices of the layers below
    the last. The top leads, as there on MNLI and QQP; elsewhere it lets the exits lead
    (``train.objective.leads=exits``). Poolers start from the network's own, where it has one.
    """

    paper = "Geng et al. 2021"
    fidelity = "the top leads on every task, released: the exits do outside MNLI and QQP"
    checked = "nothing opposes the guide, by hand: tests/objectives/test_projection.py"
    heads = {"name": "pooled", "start": "backbone"}
    train = {"objective": {"name": "gradient_projection", "together": True}}
    policies = ({"name": "entropy"},)
