"""Consensus: exits taught by the top, read together, sure together. This project's own."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("consensus")
class Consensus(Method):
    """What early exits already know is not thrown away, in the heads nor in the policy.

    Exits read the mean of a text's or word's tokens, for the first token gathers the text only in
    upper layers, as a mixture of all layers so far at a fitted temperature (Schwartz et al.
    2020). They learn half from the labels and half from the top, which keeps half of the loss to
    itself, and a row leaves on the lead of their averaged answers (``evidence``).
    """

    paper = "this project"
    levels = ("sentence", "token")
    heads = {"name": "mixed", "pool": "mean"}
    train = {"objective": {"name": "self_distillation", "weights": "top"}}
    policies = ({"name": "evidence"},)
