"""How much a loss would feel the want of each head and neuron, by its gradients."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.backbones.channels import Channels
from tokenexit.backbones.reorder import own_weights
from tokenexit.errors import UserError, unknown_name

Rule = Literal["mask", "taylor"]
RULES: tuple[Rule, ...] = ("mask", "taylor")
"""How weights ``w`` and their gradients ``g`` become one number, batch by batch.

``mask`` (DynaBERT): of a head the size of the gradient on a mask over what it gives, which is
``|sum w g|`` over its columns of the output; of a neuron that plus ``|sum w g + b g_b|`` over what
goes into it. ``taylor`` (COST-EFF): ``sum |w| |g|`` over columns of the output, of a neuron over
what goes into it as well.
"""


def check_rule(name: str, given: str) -> None:
    """Refuse what is no rule.

    Raises:
        UserError: Names those there are.
    """
    if given not in RULES:
        raise unknown_name(f"{name}.rule", given, RULES)


def check_most(name: str, given: int) -> None:
    """Refuse what is no number of texts.

    Raises:
        UserError: Says so.
    """
    if type(given) is not int or given < 1:
        raise UserError(f"{name}.texts must be a whole number above 0, not {given!r}.")


class Importance:
    """Sums over batches; each is added while its gradients lie in the weights.

    Args:
        backbone: The whole network.
        rule: One of ``RULES``.

    Attributes:
        heads: Of each layer by its number from 0, ``[heads]``; of layers that share their weights
            the first's.
        neurons: Likewise, ``[neurons]``.
    """

    def __init__(self, backbone: Backbone, rule: Rule) -> None:
        self._backbone, self._rule = backbone, rule
        self.heads: dict[int, Tensor] = {}
        self.neurons: dict[int, Tensor] = {}

    @torch.no_grad()
    def add(self) -> None:
        """Add what the gradients say that lie in the weights now."""
        for own in own_weights(self._backbone):
            index = own.layers[0]
            of_heads = self._out(own.heads)
            of_neurons = self._out(own.neurons) + self._into(own.neurons)
            self.heads[index] = self.heads.get(index, 0) + of_heads.cpu()
            self.neurons[index] = self.neurons.get(index, 0) + of_neurons.cpu()

    def _out(self, channels: Channels) -> Tensor:
        weight = channels.out.weight
        product = _product(weight).view(len(weight), channels.count, channels.size)
        if self._rule == "taylor":
            return product.abs().sum(dim=(0, 2))
        return product.sum(dim=(0, 2)).abs()

    def _into(self, channels: Channels) -> Tensor:
        total = torch.zeros(channels.count, device=channels.out.weight.device)
        for linear in channels.into:
            product = _product(linear.weight).view(channels.blocks, channels.count, -1)
            if self._rule == "taylor":
                total = total + product.abs().sum(dim=(0, 2))
                continue
            summed = product.sum(dim=(0, 2))
            if linear.bias is not None:
                summed = summed + _product(linear.bias).view(channels.blocks, -1).sum(dim=0)
            total = total + summed.abs()
        return total


def _product(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight * weight.grad
