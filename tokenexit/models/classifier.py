"""A network that classifies into the wanted classes, made from one that a user has in memory.

The user's own objects stay as they are. Weights are shared with them; names of classes, and
where these stand in another order the head, belong to the network made.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from tokenexit.backbones import adapt
from tokenexit.errors import UserError

M = TypeVar("M", bound=PreTrainedModel)


def check_names(labels: Sequence[str]) -> None:
    """Refuse what is no list of different names.

    Raises:
        UserError: Says what was given.
    """
    named = not isinstance(labels, str) and all(isinstance(label, str) for label in labels)
    if not named or len(set(labels)) != len(labels) or not labels:
        raise UserError(f"Labels must be one or more different names, not {labels!r}.")


def with_classifier(
    backbone: PreTrainedModel, labels: Sequence[str], mapping: Any, auto_class: Any, what: str
) -> PreTrainedModel:
    """The model's own head where it fits, else a new head on the same encoder.

    Args:
        backbone: A transformers model, left as it is.
        labels: Names of the classes. A head that has names of its own must have these, in
            whatever order.
        mapping: transformers' models of the wanted kind, by configuration.
        auto_class: Builds one of them.
        what: The kind, for messages.

    Raises:
        UserError: The family is not supported, or has no such form, or the head classifies into
            as many other classes.
    """
    adapt(backbone)  # says which families are supported
    wanted: Any = mapping.get(type(backbone.config), ())
    if isinstance(backbone, wanted) and backbone.config.num_labels == len(labels):
        return _with_names(backbone, list(labels))
    config = copy.deepcopy(backbone.config)  # the given model stays as it is
    config.num_labels = len(labels)
    name(config, labels)
    try:
        network = auto_class.from_config(config, dtype=backbone.dtype)
    except ValueError as error:
        raise UserError(
            f"Models of type {config.model_type!r} have no {what} form: {error}"
        ) from error
    network.base_model.load_state_dict(backbone.base_model.state_dict(), strict=False)
    nn.Module.to(network, backbone.device).train(backbone.training)
    return network


def for_training(network: PreTrainedModel, labels: Sequence[str]) -> PreTrainedModel:
    """The network, or its encoder alone where the head has learned as many other classes."""
    names: Any = network.config.id2label
    encoder: Any = network.base_model
    theirs = list(names.values())
    fits = len(theirs) != len(labels) or set(theirs) == set(labels) or len(labels) == 1
    return network if fits or theirs == _nameless(len(labels)) else encoder


def with_own_config(network: M) -> M:
    """The same modules and weights under a configuration that may be changed."""
    own = copy.copy(network)
    own.config = copy.deepcopy(network.config)
    return own


def name(config: PretrainedConfig, labels: Sequence[str]) -> None:
    """Write names of classes into a configuration."""
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}


def _with_names(network: PreTrainedModel, labels: list[str]) -> PreTrainedModel:
    """The network with these classes: itself, or a shell around the same modules."""
    names: Any = network.config.id2label
    theirs = [names[number] for number in range(len(labels))]
    if theirs == labels:
        return network
    own = with_own_config(network)
    name(own.config, labels)
    if theirs == _nameless(len(labels)) or len(labels) == 1:  # a single one has no other
        return own
    if set(theirs) != set(labels):
        raise UserError(
            f"The model has a head for the classes {theirs}, and the labels given are {labels}. "
            "Give its own names, in whatever order. To train a new head for other classes, give "
            "the encoder alone: model.base_model."
        )
    own._modules = dict(network._modules)
    head: Any = network
    own.add_module("classifier", _reordered(head.classifier, [theirs.index(n) for n in labels]))
    return own


def _nameless(count: int) -> list[str]:
    """What classes are called that nobody has named."""
    return [f"LABEL_{number}" for number in range(count)]


def _reordered(head: nn.Module, order: list[int]) -> nn.Module:
    """A copy of a head whose outputs come in another order."""
    with torch.inference_mode(False):
        head = copy.deepcopy(head)
        last = [part for part in head.modules() if not list(part.children())][-1]
        if type(last) is not nn.Linear or last.out_features != len(order):
            raise UserError(
                f"The classes of a head that ends in {type(last).__name__} cannot be put into "
                "another order: give the labels in the order of the model's config.id2label."
            )
        with torch.no_grad():
            for weight in last.parameters():
                weight.copy_(weight[order])
    return head
