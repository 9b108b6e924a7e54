"""The policy of a run, and settings of it to draw a curve through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenexit.calibration.certificate.certificate import (
    Told,
    remove_certificate,
    summary,
    write_certificate,
)
from tokenexit.calibration.clock.saved import COSTS
from tokenexit.calibration.found import Calibration
from tokenexit.files import write_json
from tokenexit.models.folders.card import public_name
from tokenexit.models.folders.names import holds_model
from tokenexit.policies import Policy, from_config
from tokenexit.workflows import served_texts as known
from tokenexit.workflows.logs import logger
from tokenexit.workflows.overlap import shared
from tokenexit.workflows.reading import GENERATED
from tokenexit.workflows.recipes import Recipe
from tokenexit.workflows.reducing import REDUCER, reduce_first
from tokenexit.workflows.selection import Selection

CURVE_FACTORS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Settings of the curve, as multiples of the calibrated one."""


def choose_policy(
    recipe: Recipe, model: Any, policy: Policy | None, main: bool, held: Selection[Any]
) -> Policy:
    """The policy as given, or calibrated and saved; before it the reducer, if that is asked.

    Args:
        recipe: The run.
        model: The trained model; gets what the calibration found.
        policy: As the user gave it, or None.
        main: Whether this process writes.
        held: The validation split, dealt out.
    """
    config = recipe.config
    run, asked = Path(config.output_dir), config.calibrate.asked
    if main:
        for name in ("calibration.json", COSTS, REDUCER):
            (run / name).unlink(missing_ok=True)  # of an earlier policy
        remove_certificate(run)
    given = policy is not None and not (asked and policy.threshold_spec() is not None)
    exits = not given and not recipe.fixed(model)
    told: dict[str, Any] = {"exits": exits, "batch_size": config.batch_size, "on_unknown": "keep"}
    reduced, left = reduce_first(model, held.calibrating, config.calibrate, **told)
    if reduced is not None:
        recipe = type(recipe)(replace(config, calibrate=left))
        spent = {known.REDUCER: [held.calibrating]}
        model.configure(training=known.noted(model.settings.training, spent))
        if main:
            write_json(run / REDUCER, reduced.to_json())
            logger.info("calibrated reducer: %s", model.reducer)
    if policy is not None and given:
        return policy
    if recipe.fixed(model):
        return from_config("never")  # nothing to choose among
    families = [policy] if policy is not None else None
    if config.calibrate.policies:
        families = [from_config(family) for family in config.calibrate.policies]
    used = [*held.spent_on, *([known.REDUCER] if reduced is not None else [])]
    found = replace(recipe.calibrate(model, held, families), data_used_for=used)
    of = len(held.calibrating) + (len(held.choosing) if held.halved else 0)
    found = replace(found, measured={**found.measured, "texts_in_split": of})
    certificate = _certificate(recipe, model, found, held) if main else {}
    chose = [held.calibrating, held.choosing if held.halved else None]
    told = known.noted(certificate, {known.POLICY: chose})
    model.configure(calibration={**found.for_model(), **told})
    if main:
        write_json(run / "calibration.json", {**found.to_json(), **told})
        if found.cost_model is not None:
            write_json(run / COSTS, found.cost_model)
    chosen = from_config(found.policy)
    if main:
        logger.info("calibrated policy: %s", chosen)
    return chosen


def _certificate(
    recipe: Recipe, model: Any, found: Calibration, held: Selection[Any]
) -> dict[str, Any]:
    """Write the certificate of a guarantee, if one was tested, and say what cards tell of it."""
    run = Path(recipe.config.output_dir)
    if found.evidence is None or not holds_model(run):
        return {}
    drawn = held.design is not None and not held.halved
    train, tested = held.train, held.calibrating
    told = Told(
        data=public_name(recipe.config.data or GENERATED),
        split=found.split,
        list_from="train" if drawn else found.split,
        list_texts=found.measured["texts_choosing"],
        used_for=found.data_used_for,
        trained_on=None if train is None else shared(train, tested, found.split),
        batch_size=recipe.config.batch_size,
    )
    return {"certificate": summary(write_certificate(run, model, found.evidence, told))}


def curve_values(policy: Policy, setting: float | None) -> list[float]:
    """Settings of a policy's threshold around the one that was chosen."""
    spec = policy.threshold_spec()
    if spec is None or setting is None:
        return []
    low, high = sorted((spec.strict, spec.loose))
    if spec.integer:
        around = {setting + d for d in (-2, -1, 0, 1, 2)}
    elif spec.log:
        around = {setting * f for f in CURVE_FACTORS}
    elif spec.near_one:
        around = {1 - (1 - setting) * f for f in CURVE_FACTORS}
    else:
        around = {setting + (high - low) * d for d in (-0.2, -0.1, -0.05, 0, 0.05, 0.1)}
    return sorted(v for v in around if low <= v <= high or v == setting)
