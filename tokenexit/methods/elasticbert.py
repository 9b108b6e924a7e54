"""ElasticBERT: all exits alike, with balanced gradients."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("elasticbert")
class ElasticBERT(Method):
    """Gradient equilibrium over the plain sum of all exits' losses; entropy or patience.

    The fine-tuning of ElasticBERT (Liu et al. 2022). Its multi-exit pre-training is in the
    weights one starts from, ``fnlp/elasticbert-base``.
    """

    paper = "Liu et al. 2022"
    fidelity = "fine-tuning only: its multi-exit pre-training is in the weights one starts from"
    checked = (
        "gradients divided by exits ahead, by a chain of numbers: "
        "tests/objectives/test_equilibrium.py"
    )
    heads = {"name": "pooled"}
    train = {
        "objective": {"name": "joint", "weights": "uniform"},
        "gradient_equilibrium": True,
    }
    policies = ({"name": "entropy"}, {"name": "patience"})
    regression = ({"name": "value_patience"},)
