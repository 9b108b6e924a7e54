"""Heads and neurons in the order of their importance, so that the first ones are worth most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenexit.backbones.reorder import own_weights, reorder
from tokenexit.training.importance import Rule, check_most, check_rule
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation
from tokenexit.training.preparations.weighed import weighed


@PREPARATIONS.register("rewire")
@dataclass(frozen=True)
class Rewire(Preparation):
    """DynaBERT's rewiring: the network says what it said, and widths keep what is important.

    The loss is the top's cross-entropy on the phase's texts.

    Args:
        rule: How gradients become importance: ``mask`` or ``taylor``.
        texts: At most so many, at even distances.
    """

    rule: Rule = "mask"
    texts: int = 2000

    def __post_init__(self) -> None:
        check_rule("rewire", self.rule)
        check_most("rewire", self.texts)

    def __call__(self, model: Any, material: Material) -> None:
        """See ``Preparation``."""
        found = weighed(model, material, self.rule, {"name": "single"}, self.texts)
        for own in own_weights(model.backbone):
            first = own.layers[0]
            reorder(own.heads, found.heads[first].argsort(descending=True, stable=True))
            reorder(own.neurons, found.neurons[first].argsort(descending=True, stable=True))
