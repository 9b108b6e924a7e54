"""Early exiting BERT for document ranking: another threshold for each of two answers."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("monobert")
class MonoBERT(Method):
    """Asymmetric thresholds for relevant and irrelevant (Xin et al. 2020), two classes only.

    For taggers, and for more classes, the policy ``per_class`` does the same.
    """

    paper = "Xin et al. 2020 (ranking)"
    units = ("text",)
    heads = {"name": "pooled"}
    train = {"objective": {"name": "joint", "weights": "uniform"}}
    policies = ({"name": "asymmetric"},)
