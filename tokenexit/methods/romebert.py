"""RomeBERT: self-distillation in one stage, with gradients that do not fight."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("romebert")
class RomeBERT(Method):
    """Soft targets from the top and gradient regularisation; entropy (Geng et al. 2021).

    The released code takes out the conflict once over all matrices of the layers below the last,
    and outside MNLI and QQP lets the exits lead the top. Here each parameter is compared alone and
    the top always leads. There poolers start from the backbone's, ours from the identity.
    """

    paper = "Geng et al. 2021"
    fidelity = (
        "conflicts go matrix by matrix and the top leads; released: all at once, "
        "led by the task's choice"
    )
    checked = "nothing opposes the guide, by hand: tests/objectives/test_projection.py"
    heads = {"name": "pooled"}
    train = {"objective": {"name": "gradient_projection"}}
    policies = ({"name": "entropy"},)
