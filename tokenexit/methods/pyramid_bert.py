"""Pyramid-BERT: each layer computes fewer rows than the one before, those of a core set."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("pyramid_bert")
class PyramidBERT(Method):
    """Rows that stand for the others are computed on, in training too (Huang et al. 2022).

    No code is public, and only the abstract was read: core sets take the place of scores, so the
    network is fine-tuned with one decaying configuration of lengths from the start, and nothing
    else is learned. From layer to layer a share of the rows is kept, from the second on. The share,
    that of a text's own length, the place before a layer and Euclidean distance are ours; the
    choice is the greedy one of one row after the other.
    """

    paper = "Huang et al. 2022"
    fidelity = "after the abstract: one share for all layers, place and distance are ours"
    checked = "centres of five points by hand: tests/reducers/test_reducers.py"
    units = ("text",)
    train = {"objective": {"name": "single"}}
    recipe = {
        "exit_layers": [],
        "reducer": {"name": "core_set", "ratio": 0.8, "layers": list(range(2, 49))},
    }
    policies = ()
