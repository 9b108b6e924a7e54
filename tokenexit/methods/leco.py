"""LECO: exit heads found by search, left when successive answers agree."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("leco")
class LECO(Method):
    """A head of its own form for every exit; comparison-based exits (Zhang et al. 2023).

    No code is public, and only the abstract was read. Which forms there are, and when the search
    ends, is ours; the paper trains what was found anew, here training goes on.
    """

    paper = "Zhang et al. 2023"
    fidelity = (
        "after the abstract: the heads' forms and the search are ours; trained on, "
        "not anew, after it"
    )
    checked = "forms are searched, derived and kept: tests/objectives/test_bilevel.py"
    units = ("text", "word")
    heads = {"name": "searched"}
    train = {"objective": {"name": "searched"}}
    policies = ({"name": "divergence"},)
