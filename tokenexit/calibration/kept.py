"""``min_quality`` as a promise about texts not yet seen, which is what it is unless told otherwise.

The task says what is promised, such as ``f1 kept``. Settings and their order come from texts that
test nothing afterwards, and all texts of the calibration test. Where these chose one of several
models before, each model could have been tested at its share of the probability that the promise is
broken, so that the one that was chosen is (a union bound).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.goal import Goal
from tokenexit.calibration.guarantee import Certified
from tokenexit.calibration.guaranteed import guaranteed
from tokenexit.calibration.loose import Target
from tokenexit.calibration.sampling import sample
from tokenexit.calibration.trying import seen_of
from tokenexit.calibration.workload import Workload
from tokenexit.evaluation.evaluate import Result
from tokenexit.guarantees import Guarantee
from tokenexit.guarantees.guarantee import USUAL_DELTA
from tokenexit.policies import Policy

logger = logging.getLogger(__name__)

LEAST = 100
"""Texts that make a list by real runs, at least, where there are as many; else half as many as
test."""


def promises_kept(work: Workload, config: CalibrateConfig) -> bool:
    """Whether a share of quality is to be promised, and the task has such a promise."""
    return config.promises_quality and work.kept is not None and work.labelled


def kept(
    work: Workload,
    families: Sequence[Policy],
    config: CalibrateConfig,
    *,
    design: Any = None,
    looks: int = 1,
) -> Certified:
    """Choose the setting that saves most of those that keep the share on texts not yet seen.

    It keeps the share, and whatever else is asked, on the testing texts themselves as well: what
    is promised may be another figure than the model's own, such as chrF for BLEU.

    Args:
        work: The model and the testing texts.
        families: Policies with a threshold.
        config: What is asked.
        design: Texts that fix which settings are tested; half of those of ``work`` when None.
        looks: Models that the testing texts chose among.
    """
    assert work.kept is not None
    delta = USUAL_DELTA if config.confidence is None else round(1 - config.confidence, 12)
    promise = Guarantee(work.kept, config.target[1], delta)
    level = delta / looks
    tested = replace(promise, delta=level)
    if design is not None and not work.simulated:
        design = sample(design, max(LEAST, len(work.split) // 2))
    found = guaranteed(
        work,
        families,
        [tested],
        settings=config.grid,
        design=design,
        target=target_of(work, config),
    )
    unit = str(found.promise["unit"])
    told = {"guarantee": str(promise), "promise": promise.told(unit)}
    if looks > 1:
        told |= {"looks": looks, "tested": tested.told(unit), "tested_at": 1 - level}
    return replace(found, promise={**found.promise, **told})


def quality_beside(
    work: Workload, config: CalibrateConfig
) -> tuple[list[Guarantee], Target | None]:
    """What ``min_quality`` asks beside ``risk``: a promise as sure as that, or a target.

    Returns:
        The promise, if it is one; what holds on the testing texts themselves.
    """
    if config.risk is None or config.min_quality is None:
        return [], None
    loose = config.loose or work.kept is None or config.min_quality >= 1
    promised = [] if loose else [Guarantee(str(work.kept), config.min_quality, config.delta)]
    return promised, target_of(work, config)


def as_risk(found: Certified, config: CalibrateConfig) -> Certified:
    """What ``risk`` asked and how much is lost, beside the promise that it is."""
    evidence = found.evidence
    if config.promise is None or evidence is None:
        return found
    changed = 0
    if found.reached:
        place = list(evidence.policies).index(dict(found.best.policy))
        changed = int((evidence.settings[place]["changed"] > 0).sum())
    told = {**config.promise.to_json(), "texts_changed": changed}
    return replace(found, promise={**told, **found.promise})


def target_of(work: Workload, config: CalibrateConfig) -> Target:
    """What is asked of a run on its own texts."""

    def keeps(result: Result) -> bool:
        goal = Goal.of(config, result, work.usual)
        return goal.keeps(seen_of(result, result.relative_quality))

    def worth(result: Result) -> float:
        goal = Goal.of(config, result, work.usual)
        return goal.worth(result.quality, result.depth_speedup, result.mac_ratio, None)

    return Target(keeps, worth)
