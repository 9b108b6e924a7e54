"""A published system: heads, objective and policies under one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.registry import Registry

METHODS: Registry[Method] = Registry("method", "tokenexit.methods")

LEVELS = {"sentence": "texts", "token": "words", "step": "generated tokens"}
"""What leaves, by level."""


class Method:
    """A composition with a name; subclasses are registered and hold data only.

    Attributes:
        paper: Authors and year.
        levels: ``sentence``, ``token``, ``step``: where it has a meaning.
        heads: Exit heads, as ``heads`` of a recipe; generators share their vocabulary head and
            take only ``gate`` of it.
        train: As ``train`` of a recipe: the objective, and whatever else it sets.
        policies: Families whose threshold is calibrated; none where everybody runs to the top.
        recipe: Other keys of a recipe, such as the layers that a network keeps.
        stages: For a cascade, keys of each model's own recipe, the cheapest first; the policies
            then say who is done after which model.
        calibrate: What it sets of ``calibrate`` besides, such as ``risk``.
        regression: Policies in the place of ``policies`` where texts get numbers; None where it
            has no such form.
    """

    paper: ClassVar[str]
    levels: ClassVar[tuple[str, ...]] = ("sentence", "token", "step")
    heads: ClassVar[Mapping[str, Any]] = {"name": "linear"}
    train: ClassVar[Mapping[str, Any]]
    policies: ClassVar[tuple[Mapping[str, Any], ...]]
    recipe: ClassVar[Mapping[str, Any]] = {}
    stages: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    calibrate: ClassVar[Mapping[str, Any]] = {}
    regression: ClassVar[tuple[Mapping[str, Any], ...] | None] = None


def settings_of(name: str, level: str) -> dict[str, Any]:
    """What a method sets in a recipe's configuration.

    Args:
        name: Of the method.
        level: Of the recipe; ``value`` for texts that get numbers.

    Raises:
        UserError: No such method, or none at this level.
    """
    method = METHODS.get(name)
    policies = method.policies
    if level == "value":
        if method.regression is None:
            served = ", ".join(key for key, cls in METHODS.items() if cls.regression is not None)
            raise UserError(f"{name} has no form for regression; these have: {served}.")
        policies = method.regression
    elif level not in method.levels:
        served = ", ".join(f"{key} ({LEVELS[key]})" for key in method.levels)
        raise UserError(
            f"{name} has no form at the level {level!r} ({LEVELS[level]}); it has: {served}. "
            "tokenexit methods lists them all."
        )
    settings: dict[str, Any] = {
        **method.recipe,
        "train": dict(method.train),
        "calibrate": {
            **method.calibrate,
            "policies": [dict(policy) for policy in policies],
        },
    }
    if method.stages:
        settings["stages"] = [dict(stage) for stage in method.stages]
    if level == "step":
        return settings | ({"gate": True} if method.heads.get("gate") else {})
    return settings | {"heads": dict(method.heads)}
