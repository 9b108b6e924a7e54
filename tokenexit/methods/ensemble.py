"""Ensemble of internal classifiers: exits that differ, and vote."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("ensemble")
class Ensemble(Method):
    """A reward for diversity in training, votes of the exits so far after it (Sun et al. 2021)."""

    paper = "Sun et al. 2021"
    heads = {"name": "linear"}
    train = {"objective": {"name": "diversity"}}
    policies = ({"name": "vote"},)
