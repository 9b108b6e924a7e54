"""DACT-BERT: learned halting units, and a bound on what later layers can still change."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("dact_bert")
class DACTBERT(Method):
    """Leave when no later exit could change the mixed answer (Eyzaguirre et al. 2021)."""

    paper = "Eyzaguirre et al. 2021"
    units = ("text", "word")
    heads = {"name": "linear", "gate": {"name": "units"}}
    train = {"objective": {"name": "dact"}}
    policies = ({"name": "dact"},)
