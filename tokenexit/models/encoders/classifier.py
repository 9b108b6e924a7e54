"""A network that classifies into the wanted classes, made from one that a user has in memory.

The user's own objects stay as they are. Weights are shared with them; names of classes, and
where these stand in another order the head, belong to the network made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from tokenexit.backbones import adapt
from tokenexit.backbones.given import heard_parts, own_parts, unwrapped
from tokenexit.errors import UserError
from tokenexit.models.scale import Scale

M = TypeVar("M", bound=PreTrainedModel)

SCALE = "exit_scale"
"""Where a configuration says what the numbers of a regression stand for."""


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
    backbone = unwrapped(backbone)
    adapt(backbone)  # says which families are supported
    wanted: Any = mapping.get(type(backbone.config), ())
    if isinstance(backbone, wanted):
        if backbone.config.num_labels == len(labels):
            return _with_names(backbone, list(labels))
        _check_nameless(_names(backbone), labels)
    config = copy.deepcopy(backbone.config)  # the given model stays as it is
    config.num_labels, config.problem_type = len(labels), None
    vars(config).pop(SCALE, None)
    name(config, labels)
    try:
        network = auto_class.from_config(config, dtype=backbone.dtype)
    except ValueError as error:
        raise UserError(
            f"Models of type {config.model_type!r} have no {what} form: {error}"
        ) from error
    _copy_weights(backbone.base_model, network.base_model)
    nn.Module.to(network, backbone.device).train(backbone.training)
    return network


def _copy_weights(given: nn.Module, fresh: nn.Module) -> None:
    """Give a new encoder the weights of another; a pooler may be there in one of them alone."""
    parts = [*own_parts(given), *heard_parts(given)]
    found = fresh.load_state_dict({} if parts else given.state_dict(), strict=False)
    lost = {*found.missing_keys} & {name for name, _ in fresh.named_parameters()}
    strange = [name for name in (*lost, *found.unexpected_keys) if not name.startswith("pooler.")]
    if parts or strange:
        raise UserError(
            f"A new head needs a new network, and {(parts or sorted(strange))[0]} of the one given "
            "cannot be built anew: merge adapters (merge_and_unload), make pruning permanent "
            "(torch.nn.utils.prune.remove), and quantise and add hooks last; or give a model with "
            "a head of these classes, whose modules are used as they are."
        )


def has_learned(network: PreTrainedModel, labels: Sequence[str]) -> bool:
    """Whether a network came with a head for these classes, whose answers are to stay."""
    given = unwrapped(network)
    return given.base_model is not given and set(_names(given)) == set(labels)


def for_training(network: PreTrainedModel, labels: Sequence[str]) -> PreTrainedModel:
    """The network, or its encoder alone where the head has learned other classes."""
    encoder: Any = network.base_model
    theirs = _names(network)
    fits = set(theirs) == set(labels) or len(theirs) == 1
    return network if fits or theirs == _nameless(len(theirs)) else encoder


def with_own_config(network: M) -> M:
    """The same modules and weights under a configuration that may be changed."""
    own = copy.copy(network)
    own.config = copy.deepcopy(network.config)
    return own


def check_problem(config: Any, regression: bool) -> None:
    """Refuse heads whose numbers would be read as something else.

    Args:
        config: Of the network.
        regression: Whether numbers are wanted.

    Raises:
        UserError: Says what the head is for.
    """
    if config.problem_type == "multi_label_classification":
        raise UserError(
            "This head says yes or no to each class by itself (config.problem_type is "
            "multi_label_classification), and exits choose one class a text. Give the encoder "
            "alone to train a new head: model.base_model."
        )
    if config.problem_type == "regression" and not regression:
        raise UserError(
            "This head tells a number (config.problem_type is regression), not a class: give "
            "scale=Scale(mean, std) with the mean and standard deviation of the training values, "
            "or to train a new head the encoder alone: model.base_model."
        )


def with_scale(network: M, scale: Scale) -> M:
    """A regression whose head tells deviations on a scale, on a copy of it if it has to change.

    A head that was trained before, as its configuration says, tells the same values as it did;
    a new one is taken as it is.
    """
    own = with_own_config(network)
    config: Any = own.config
    theirs = Scale.saved(getattr(config, SCALE, None)) or Scale(0.0, 1.0)
    trained, config.problem_type = config.problem_type == "regression", "regression"
    setattr(config, SCALE, asdict(scale))
    if not trained or theirs == scale:
        return own
    gain, shift = theirs.std / scale.std, (theirs.mean - scale.mean) / scale.std
    return with_last_layer(
        own,
        "put its values on another scale",
        lambda weight: weight * gain if weight.dim() > 1 else weight * gain + shift,
    )


def name(config: PretrainedConfig, labels: Sequence[str]) -> None:
    """Write names of classes into a configuration."""
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}


def _with_names(network: PreTrainedModel, labels: list[str]) -> PreTrainedModel:
    """The network with these classes: itself, or a shell around the same modules."""
    theirs = _names(network)
    if theirs == labels:
        return network
    own = with_own_config(network)
    name(own.config, labels)
    if theirs == _nameless(len(labels)) or len(labels) == 1:  # a single one has no other
        return own
    if set(theirs) != set(labels):
        _check_nameless(theirs, labels)
    order = [theirs.index(label) for label in labels]
    return with_last_layer(own, "put its classes into another order", lambda weight: weight[order])


def _names(network: PreTrainedModel) -> list[str]:
    """What a network calls its classes, in order."""
    names: Any = network.config.id2label
    named = {int(number): str(label) for number, label in names.items()}  # JSON has strings
    if sorted(named) != list(range(len(named))):
        raise UserError(
            f"The model's config.id2label must name the classes 0 to {len(named) - 1}: {names!r}."
        )
    return [named[number] for number in range(len(named))]


def _check_nameless(theirs: list[str], labels: Sequence[str]) -> None:
    """Refuse to pass by classes that a head has learned."""
    if len(theirs) > 1 and theirs != _nameless(len(theirs)):
        raise UserError(
            f"The model has a head for the classes {theirs}, and the labels given are "
            f"{list(labels)}. Give its own names, in whatever order. To train a new head for other "
            "classes, give the encoder alone: model.base_model."
        )


def _nameless(count: int) -> list[str]:
    """What classes are called that nobody has named."""
    return [f"LABEL_{number}" for number in range(count)]


def with_last_layer(network: M, what: str, change: Callable[[Tensor], Tensor]) -> M:
    """The same modules and weights, but for a copy of the head with another last layer.

    Args:
        network: Has a configuration of its own already.
        what: The change, for messages.
        change: Makes the new values of its weight, and of its bias.

    Raises:
        UserError: The head does not end in a linear layer.
    """

    def changed(last: nn.Module) -> nn.Module:
        if type(last) is not nn.Linear or last.out_features != network.config.num_labels:
            raise UserError(
                f"The head ends in {type(last).__name__}, so that nobody can {what}: give labels "
                "and scale that are the model's own, or a head that ends in a linear layer."
            )
        made = copy.deepcopy(last)
        with torch.no_grad():
            for weight in made.parameters():
                weight.copy_(change(weight))
        return made

    return with_output(network, changed)


def with_output(network: M, make: Callable[[nn.Module], nn.Module]) -> M:
    """The same modules and weights, but for another last layer; the network if that is the same.

    Args:
        network: Has a configuration of its own already, or the same classes.
        make: The new layer, for the last one of the head.
    """
    head: nn.Module = cast(Any, network).classifier
    place, last = [(n, p) for n, p in head.named_modules() if not list(p.children())][-1]
    with torch.inference_mode(False):
        new = make(last)
        if new is last:
            return network
        if place:
            head = copy.deepcopy(head)
            head.set_submodule(place, new)
    made = copy.copy(network)
    made._modules = dict(network._modules)
    made.add_module("classifier", head if place else new)
    return made
