"""Ensemble of internal classifiers: exits that differ, and vote."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("ensemble")
class Ensemble(Method):
    """A reward for diversity in training, votes of the exits so far after it (Sun et al. 2021).

    No code is public. How the paper measures diversity and how many votes it asks for could not be
    verified. It gives out the voted class; here a row leaves only at an exit of that class.
    """

    paper = "Sun et al. 2021"
    fidelity = (
        "after the abstract: diversity and the vote's settings are ours; gives out "
        "the exit's own class"
    )
    checked = (
        "votes by hand and by a plain loop: tests/policies/test_published.py; diversity: "
        "tests/objectives/test_published_objectives.py"
    )
    train = {"objective": {"name": "diversity"}}
    policies = ({"name": "vote"},)
