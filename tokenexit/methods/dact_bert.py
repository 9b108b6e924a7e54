"""DACT-BERT: learned halting units, and a bound on what later layers can still change."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("dact_bert")
class DACTBERT(Method):
    """Leave when no later exit could change the mixed answer (Eyzaguirre et al. 2021).

    No code is public. The bound is that of the authors' method before it (2020). The paper gives
    out the mixed answer; here it is the exit's own, which is trained beside the mixture and leaves
    only where both agree.
    """

    paper = "Eyzaguirre et al. 2021"
    fidelity = (
        "gives out the exit's own class, and trains it; halts by the bound of the method before it"
    )
    checked = (
        "halting by hand and by a plain loop: tests/policies/test_published.py; loss: "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")
    heads = {"name": "linear", "gate": {"name": "units"}}
    train = {"objective": {"name": "dact"}}
    policies = ({"name": "dact"},)
