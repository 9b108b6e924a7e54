"""Global Past-Future: exits that read earlier layers and guess later ones."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("past_future")
class PastFuture(Method):
    """States of earlier exits, imitations of later ones; entropy (Liao et al. 2021).

    Imitation costs a product as wide as the state for each exit to come, which is counted. In the
    released code all exits share imitators and matrices of classes, each class has a gate that
    reads all states so far, states are pooled, and gradients of lower layers are dropped at random.
    Here each exit has its own parts, with one gate on its own state. As there, later exits pass no
    gradient to the states of earlier ones.
    """

    paper = "Liao et al. 2021"
    fidelity = (
        "imitators of each exit, one gate on its state; released: shared, a gate a "
        "class on all so far"
    )
    checked = (
        "heads by hand: tests/heads/test_past.py; imitation: "
        "tests/objectives/test_published_objectives.py"
    )
    units = ("text", "word")
    heads = {"name": "past_future", "detach": True}
    train = {"objective": {"name": "imitation"}}
    policies = ({"name": "entropy"},)
