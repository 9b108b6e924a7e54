"""Put heads and neurons in another order, which changes nothing that a network says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.backbones.base import Backbone
from tokenexit.backbones.channels import Channels


@dataclass(frozen=True)
class OwnWeights:
    """Weights of a layer, or of several that share them.

    Attributes:
        layers: Who has them, from 0.
        heads: Where the heads lie.
        neurons: Where the neurons lie.
    """

    layers: Sequence[int]
    heads: Channels
    neurons: Channels


def own_weights(backbone: Backbone) -> list[OwnWeights]:
    """The weights of all layers, each once."""
    every = [backbone.channels(index) for index in range(backbone.num_layers)]
    users: dict[object, list[int]] = {}
    for index, found in enumerate(every):
        users.setdefault(found.heads.out, []).append(index)
    return [
        OwnWeights(layers, every[layers[0]].heads, every[layers[0]].neurons)
        for layers in users.values()
    ]


@torch.no_grad()
def reorder(channels: Channels, order: Tensor) -> None:
    """Put heads, or neurons, of a layer in another order, in place.

    Args:
        channels: Where they lie.
        order: Which one comes first, second, ..., ``[count]``; each once.
    """
    places = tuple(order.tolist())
    columns = order[:, None] * channels.size + torch.arange(channels.size)
    rows = torch.arange(channels.blocks)[:, None] * channels.count * channels.size
    rows, columns = (rows + columns.flatten()).flatten(), columns.flatten()
    assert sorted(places) == list(range(channels.count)), "each one once"
    for linear in channels.into:
        for part in (linear.weight, linear.bias):
            if part is not None:
                part.copy_(part[rows.to(part.device)])
    weight = channels.out.weight
    weight.copy_(weight[:, columns.to(weight.device)])
