"""Trainings to compare: heads and an objective, written as a sum.

``mlp+joint(weights=uniform)`` is that kind of heads under that objective; what is not named stays
as the recipe has it. What a recipe or its training can have besides may stand in the sum as well,
such as ``joint+gradient_equilibrium`` or ``joint+encoder_policy(name=entropy)``, and a group with a
switch ``fit``, which is then on: ``joint+context_gate(inner=32)``. A mapping with a ``name`` says
everything else: keys of the recipe, a ``method`` whose preset they are laid over, and in ``curve``
the method or training whose curve its points belong to, where that costs several trainings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenexit.config import from_yaml
from tokenexit.config.schema import keys_of
from tokenexit.errors import UserError, unknown_name
from tokenexit.heads import HEADS
from tokenexit.objectives import OBJECTIVES

_PART = re.compile(r"\s*([\w.]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_BESIDE = re.compile(r"\+(?![^()]*\))")
"""A plus that stands in no parentheses."""
_NOT_OF_TRAINING = (
    "resume", "overwrite", "convert_tags", "regression", "policy", "generation", "calibrate",
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """What one training sets in a recipe's configuration.

    Attributes:
        name: As it was written, without spaces.
        settings: Keys of the recipe.
        curve: Name of the method or training to whose curve it belongs; its own where empty.
    """

    name: str
    settings: Mapping[str, Any]
    curve: str = ""


def read_trainings(given: Iterable[Any], schema: type[Any]) -> list[Training]:
    """The trainings that are asked for, in order.

    Args:
        given: Sums as text, or mappings with a ``name`` and keys of the recipe.
        schema: The recipe's configuration.

    Raises:
        UserError: No such heads, objective or switch; two with one name; or neither text nor a
            mapping with a name.
    """
    found: dict[str, Training] = {}
    for item in given:
        one = _named(item) if isinstance(item, Mapping) else _sum(item, schema)
        if one.name in found:
            raise UserError(f"trainings lists {one.name!r} twice; leave one out or rename it.")
        found[one.name] = one
    return list(found.values())


def _named(given: Mapping[str, Any]) -> Training:
    settings = {str(key): value for key, value in given.items()}
    name, curve = settings.pop("name", None), settings.pop("curve", "")
    if not (isinstance(name, str) and name.strip()) or not settings:
        raise UserError(
            f"A training of your own has a name and settings of the recipe, such as "
            f"{{name: mine, heads: {{name: mlp}}, train: {{lr: 1e-4}}}}, not {dict(given)!r}."
        )
    if not isinstance(curve, str):
        raise UserError(f"curve of the training {name!r} is the name of a method, not {curve!r}.")
    return Training(name, settings, curve)


def _sum(given: Any, schema: type[Any]) -> Training:
    text = str(given)
    beside = _beside(schema)
    settings: dict[str, Any] = {}
    train: dict[str, Any] = {}
    heads, objectives = dict(HEADS.items()), dict(OBJECTIVES.items())
    for part in _BESIDE.split(text):
        name, inside = _parsed(part, text)
        if name in heads and "heads" not in settings:
            settings["heads"] = {"name": name, **inside}
        elif name in objectives and "objective" not in train:
            train["objective"] = {"name": name, **inside}
        elif name in beside:
            group = beside[name]
            value = {"fit": True, **inside} if group == name else inside or True
            (train if group == "train" else settings)[name] = value
        elif name in heads or name in objectives:
            raise UserError(f"The training {text!r} names two kinds of heads or two objectives.")
        else:
            raise unknown_name("part of a training", name, [*heads, *objectives, *beside])
    return Training("".join(text.split()), {**settings, "train": train} if train else settings)


def _parsed(part: str, whole: str) -> tuple[str, dict[str, Any]]:
    match = _PART.fullmatch(part)
    if match is None:
        raise UserError(
            f"The training {whole!r} cannot be read at {part!r}: write parts joined by +, their "
            "settings in parentheses, such as mlp(inner=64)+joint(weights=uniform)."
        )
    name, inside = match.groups()
    flow = re.sub(r"([\w.]+)\s*=", r"\1: ", inside or "")
    read = from_yaml(f"{{{flow}}}", f"The training {whole!r}")
    return name, dict(read)


def _beside(schema: type[Any]) -> dict[str, str]:
    """What is off or empty unless it is asked for, and its group.

    A group that is off as a whole, by its own ``fit``, stands for itself.
    """
    found: dict[str, str] = {}
    for key in keys_of(schema):
        group, _, name = key.name.rpartition(".")
        off = key.default is False or (key.is_open and not key.default)
        if not off or {group, name} & {*_NOT_OF_TRAINING}:
            continue
        if name == "fit":
            found[group] = group
        elif group in ("", "train"):
            found[name] = group
    return found
