"""Global Past-Future: exits that read earlier layers and guess later ones."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("past_future")
class PastFuture(Method):
    """States of earlier exits, imitations of later ones; entropy (Liao et al. 2021).

    Imitation costs a product as wide as the state for each exit to come, which is counted.
    """

    paper = "Liao et al. 2021"
    units = ("text", "word")
    heads = {"name": "past_future"}
    train = {"objective": {"name": "imitation"}}
    policies = ({"name": "entropy"},)
