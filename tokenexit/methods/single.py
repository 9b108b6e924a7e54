"""Ordinary fine-tuning: what exits may cost the top is measured against it."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("single")
class Single(Method):
    """The top head alone is trained, and nobody leaves early."""

    paper = "plain fine-tuning"
    fidelity = "baseline"
    checked = "ordinary fine-tuning, gradient by gradient: tests/objectives/test_joint.py"
    units = ("text", "word", "token")
    train = {"objective": {"name": "single"}}
    recipe = {"exit_layers": []}
    policies = ()
    regression = ()
