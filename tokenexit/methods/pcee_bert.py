"""PCEE-BERT: sure several exits in a row."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("pcee_bert")
class PCEEBERT(Method):
    """Patient and confident: low entropy at several successive exits (Zhang et al. 2022).

    Two exits in a row; the entropy that counts as low is calibrated. The released code shares one
    pooler among all exits, the network's own; here the top has that, and those below it a copy.
    """

    paper = "Zhang et al. 2022"
    fidelity = "exits below the top share a copy of its pooler, released: its pooler itself"
    checked = "a count of sure exits by a plain loop: tests/policies/test_criteria.py"
    heads = {"name": "pooled", "start": "backbone", "shared": "dense"}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "pcee", "policy": {"name": "entropy"}, "times": 2},)
