"""PCEE-BERT: sure several exits in a row."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("pcee_bert")
class PCEEBERT(Method):
    """Patient and confident: low entropy at several successive exits (Zhang et al. 2022).

    Two exits in a row; the entropy that counts as low is calibrated.
    """

    paper = "Zhang et al. 2022"
    heads = {"name": "pooled"}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "pcee", "policy": {"name": "entropy"}, "times": 2},)
