"""F-PABEE: distributions that stay close, several exits in a row."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("f_pabee")
class FPABEE(Method):
    """Flexible patience: successive exits diverge little, twice in a row (Gao et al. 2023).

    So says the abstract. The released code compares with a second stream, which runs beside the
    network from the embeddings and is not counted, by a measure without the entropies.
    """

    paper = "Gao et al. 2023"
    fidelity = (
        "after the abstract; the released code compares with a second stream of layers instead"
    )
    checked = "divergence of following exits by hand: tests/policies/test_criteria.py"
    heads = {"name": "pooled", "start": "backbone", "shared": "dense"}
    train = {"objective": {"name": "joint", "weights": "depth"}}
    policies = ({"name": "divergence", "patience": 2},)
