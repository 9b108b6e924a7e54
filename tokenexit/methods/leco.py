"""LECO: exit heads found by search, left when successive answers agree."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("leco")
class LECO(Method):
    """A head of its own form for every exit; comparison-based exits (Zhang et al. 2023)."""

    paper = "Zhang et al. 2023"
    units = ("text", "word")
    heads = {"name": "searched"}
    train = {"objective": {"name": "searched"}}
    policies = ({"name": "divergence"},)
