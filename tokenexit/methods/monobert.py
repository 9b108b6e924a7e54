"""Early exiting BERT for document ranking: another threshold for each of two answers."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("monobert")
class MonoBERT(Method):
    """Asymmetric thresholds for relevant and irrelevant (Xin et al. 2020), two classes only.

    Its two thresholds are free; here one is tied to the other by ``ratio``, so that one number is
    calibrated. For taggers, and for more classes, the policy ``per_class`` does the same.
    """

    paper = "Xin et al. 2020 (ranking)"
    fidelity = "the two thresholds are tied by a ratio, the paper's are free"
    checked = "two thresholds by hand: tests/policies/test_published.py"
    units = ("text",)
    heads = {"name": "pooled", "start": "backbone"}
    train = {"objective": {"name": "joint", "weights": "uniform"}}
    policies = ({"name": "asymmetric"},)
