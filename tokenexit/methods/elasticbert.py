"""ElasticBERT: all exits alike, with balanced gradients."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("elasticbert")
class ElasticBERT(Method):
    """Gradient equilibrium over the plain sum of all exits' losses; entropy or patience.

    The fine-tuning of ElasticBERT (Liu et al. 2022), as its released code does it. Its multi-exit
    pre-training is in the weights one starts from, ``fnlp/elasticbert-base``, or those that
    ``tokenexit pretrain`` writes: the objective ``grouped`` lets groups of exits take turns, each
    balanced for itself. The published groups of 12 exits are the odd ones with the top, and the
    even ones, read in a lecture on the paper; its code is not public. Sentence order prediction,
    which the paper adds at each exit, is left out there, and its steps and batches are not ours.
    """

    paper = "Liu et al. 2022"
    fidelity = "pre-training apart (tokenexit pretrain): without sentence order, on other texts"
    checked = (
        "gradients over exits ahead, by numbers: tests/objectives/test_equilibrium.py; in groups: "
        "tests/objectives/test_grouped.py"
    )
    heads = {"name": "pooled"}
    train = {
        "objective": {"name": "joint", "weights": "uniform"},
        "gradient_equilibrium": True,
    }
    policies = ({"name": "entropy"}, {"name": "patience"})
    regression = ({"name": "value_patience"},)
