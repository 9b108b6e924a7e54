"""A published system: heads, objective and policies under one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.registry import Registry
from tokenexit.renamed import keep_former
from tokenexit.units import levels_of, units_of

METHODS: Registry[Method] = Registry("method", "tokenexit.methods")

UNITS = {"text": "texts", "word": "words", "token": "generated tokens"}
"""What leaves, in words for messages."""


_FORMER = {"levels": "units"}


class Method:
    """A composition with a name; subclasses are registered and hold data only.

    Attributes:
        paper: Authors and year.
        fidelity: ``as published``, ``own``, ``baseline``, or in one line what departs from the
            paper or its released code. Thresholds by calibration, a given number of steps and units
            that a paper has not go without saying; the docstring says the rest.
        checked: In one line what was checked by hand, and by which tests; empty for nothing.
        units: ``text``, ``word``, ``token``: for what it has a meaning.
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
    fidelity: ClassVar[str] = "not said"
    checked: ClassVar[str] = ""
    units: ClassVar[tuple[str, ...]] = ("text", "word", "token")
    heads: ClassVar[Mapping[str, Any]] = {"name": "linear"}
    train: ClassVar[Mapping[str, Any]]
    policies: ClassVar[tuple[Mapping[str, Any], ...]]
    recipe: ClassVar[Mapping[str, Any]] = {}
    stages: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    calibrate: ClassVar[Mapping[str, Any]] = {}
    regression: ClassVar[tuple[Mapping[str, Any], ...] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_former(cls, _FORMER, units_of, levels_of)


keep_former(Method, _FORMER, units_of, levels_of)


class Baseline(Method):
    """What any criterion has to beat: exits that were trained together, under the plainest rule."""

    paper = "static baseline"
    fidelity = "baseline"
    train: ClassVar[Mapping[str, Any]] = {"objective": {"name": "joint", "weights": "uniform"}}


def settings_of(name: str, unit: str) -> dict[str, Any]:
    """What a method sets in a recipe's configuration.

    Args:
        name: Of the method.
        unit: What leaves; ``number`` for texts that get numbers.

    Raises:
        UserError: No such method, or none for this unit.
    """
    method = METHODS.get(name)
    policies = method.policies
    if unit == "number":
        if method.regression is None:
            served = ", ".join(key for key, cls in METHODS.items() if cls.regression is not None)
            raise UserError(f"{name} has no form for regression; these have: {served}.")
        policies = method.regression
    elif unit not in method.units:
        served = " and ".join(UNITS[key] for key in method.units)
        raise UserError(
            f"{name} has no form for {UNITS[unit]}; it has one for {served}. "
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
    if unit == "token":
        return settings | ({"gate": True} if method.heads.get("gate") else {})
    return settings | {"heads": dict(method.heads)}
