"""Heads and neurons that a loss would miss least are taken out, some before each phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones.channels import Channels
from tokenexit.backbones.reorder import own_weights, reorder
from tokenexit.backbones.sliced import explicit
from tokenexit.errors import UserError
from tokenexit.training.importance import Rule, check_most, check_rule
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation
from tokenexit.training.preparations.weighed import weighed
from tokenexit.widths import Entry, Widths, count_of, places_of


@PREPARATIONS.register("prune")
@dataclass(frozen=True)
class Prune(Preparation):
    """Narrow each layer by its least important heads, and by as large a share of its neurons.

    After COST-EFF (Shen et al. 2022). The loss is that of the phase: with one of all exits, what
    exits need is kept. Those kept are put first, so that the model's ``widths`` are numbers.

    Args:
        heads: Heads that each layer loses; one always stays.
        rule: How gradients become importance: ``taylor`` or ``mask``.
        texts: At most so many, at even distances.

    Raises:
        UserError: ``heads`` is not a number above 0.
    """

    heads: int = 1
    rule: Rule = "taylor"
    texts: int = 2000

    def __post_init__(self) -> None:
        check_rule("prune", self.rule)
        check_most("prune", self.texts)
        if type(self.heads) is not int or self.heads < 1:
            raise UserError(f"prune.heads must be a whole number above 0, not {self.heads!r}.")

    def __call__(self, model: Any, material: Material) -> None:
        """See ``Preparation``."""
        backbone = model.backbone
        now = explicit(backbone, model.widths or Widths())
        found = weighed(model, material, self.rule, None, self.texts)
        heads, neurons = [*now.of_heads], [*now.of_neurons]
        for own in own_weights(backbone):
            first, *_ = own.layers
            left = max(count_of(heads[first]) - self.heads, 1)
            wide = max(round(left / own.heads.count * own.neurons.count), 1)
            left = _keep(own.heads, heads[first], found.heads[first], left)
            wide = _keep(own.neurons, neurons[first], found.neurons[first], wide)
            for index in own.layers:
                heads[index], neurons[index] = left, wide
        model.use_widths(Widths(tuple(heads), tuple(neurons)))


def _keep(channels: Channels, there: Entry, scores: Tensor, count: int) -> int:
    """Put the most important of those that are there first; how many of them are kept."""
    places = torch.tensor(places_of(there))
    ranked = places[scores[places].argsort(descending=True, stable=True)]
    gone = torch.ones(channels.count, dtype=torch.bool).index_fill(0, places, False)
    reorder(channels, torch.cat([ranked, gone.nonzero().squeeze(-1)]))
    return min(count, len(places))
