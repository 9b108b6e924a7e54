"""A network built from some layers of another."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit.backbones import adapt
from tokenexit.errors import UserError

Layers = Sequence[int] | int | Literal["alternate"]
"""Layers from 1, or so many from the first on, or every other one from the first on."""


def keep_layers(network: PreTrainedModel, layers: Layers) -> PreTrainedModel:
    """The network made of some of its layers; the given one stays as it is.

    Every other layer is LayerDrop's way of cutting a network (Fan et al. 2020), the first few
    are those on which the others build.

    Args:
        network: A transformers encoder of a supported family, with or without a head.
        layers: Which.

    Returns:
        A network of the same class that transformers saves and loads as any other, or the
        given one if it keeps all layers.

    Raises:
        UserError: No such layers, or the family cannot do without those that are left out.
    """
    depth = adapt(network).num_layers
    kept = chosen_layers(layers, depth)
    if len(kept) == depth:
        return network
    config: Any = copy.deepcopy(network.config)
    if hasattr(config, "num_hidden_groups"):  # ALBERT: layers share weights
        renamed = _share(network, config, kept)
    else:
        renamed = _renumber(network, kept)
        config.num_hidden_layers = len(kept)
        for name, value in vars(config).items():
            if "layer" in name and isinstance(value, list | tuple) and len(value) == depth:
                setattr(config, name, [value[number - 1] for number in kept])
    smaller: PreTrainedModel = type(network)(config)
    problems = smaller.load_state_dict(renamed, strict=False)
    if problems.missing_keys or problems.unexpected_keys:
        # Such as ModernBERT's first layer, which alone has no norm of its own.
        name = [*problems.missing_keys, *problems.unexpected_keys][0]
        raise UserError(
            f"keep_layers={layers!r} gives no {config.model_type} model: {name!r} fits no other "
            "place. Keep the first layer."
        )
    smaller.to(device=network.device, dtype=network.dtype)  # type: ignore[arg-type]
    return smaller.train(network.training)


def chosen_layers(layers: Layers, depth: int) -> list[int]:
    """Numbers of the layers to keep, from 1, in order.

    Raises:
        UserError: Not layers of a network of this depth, or not in order.
    """
    if layers == "alternate":
        return list(range(1, depth + 1, 2))
    if isinstance(layers, int) and not isinstance(layers, bool) and 1 <= layers <= depth:
        return list(range(1, layers + 1))
    if isinstance(layers, Sequence) and not isinstance(layers, str):
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in layers)
        rising = whole and all(a < b for a, b in pairwise(layers))
        if layers and rising and layers[0] >= 1 and layers[-1] <= depth:
            return list(layers)
    raise UserError(
        f"keep_layers={layers!r} names no layers of this network, which has {depth}: give their "
        f"numbers from 1 to {depth} in rising order such as [1, 2], or how many to keep from the "
        'first on, or "alternate" for every other one.'
    )


def _renumber(network: PreTrainedModel, kept: list[int]) -> dict[str, Tensor]:
    """Weights of the kept layers under their new numbers, and all others."""
    depth = adapt(network).num_layers
    stacks = [
        f"{name}."
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth
    ]
    outer = [name for name in stacks if not any(name != o and name.startswith(o) for o in stacks)]
    if len(outer) != 1:
        raise UserError(
            f"The layers of a {network.config.model_type} model cannot be told apart from its "
            "other parts, so none can be left out."
        )
    stem, places = outer[0], {str(old - 1): str(new) for new, old in enumerate(kept)}
    renamed = {}
    for name, weight in network.state_dict().items():
        number, _, rest = name.removeprefix(stem).partition(".")
        if not name.startswith(stem):
            renamed[name] = weight
        elif number in places:
            renamed[f"{stem}{places[number]}.{rest}"] = weight
    return renamed


def _share(network: PreTrainedModel, config: Any, kept: list[int]) -> dict[str, Tensor]:
    """The same where layers are groups of weights that are run several times."""
    inner = int(config.inner_group_num)
    per_group = config.num_hidden_layers / config.num_hidden_groups
    rounds = sorted({(number - 1) // inner for number in kept})
    groups = [int(place / per_group) for place in rounds]
    used = sorted(set(groups))
    again = [int(place / (len(groups) / len(used))) for place in range(len(groups))]
    if len(rounds) * inner != len(kept) or [used[number] for number in again] != groups:
        raise UserError(
            f"An ALBERT model of {config.num_hidden_groups} groups cannot keep the layers {kept}: "
            "it runs each group equally often, and each group whole. Keep as many layers of each."
        )
    config.num_hidden_layers, config.num_hidden_groups = len(rounds), len(used)
    renamed = {}
    for name, weight in network.state_dict().items():
        stem, found, rest = name.partition("albert_layer_groups.")
        number, _, rest = rest.partition(".")
        if not found:
            renamed[name] = weight
        elif int(number) in used:
            renamed[f"{stem}{found}{used.index(int(number))}.{rest}"] = weight
    return renamed
