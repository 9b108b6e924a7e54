"""F-PABEE: distributions that stay close, several exits in a row."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("f_pabee")
class FPABEE(Method):
    """Flexible patience: successive exits diverge little, twice in a row (Gao et al. 2023)."""

    paper = "Gao et al. 2023"
    heads = {"name": "pooled"}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "divergence", "patience": 2},)
