"""A choice that rests on a promise about unseen texts, in the form of all others."""

from __future__ import annotations

from typing import Any

from tokenexit.calibration.by_clock import Trial, choose
from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.found import Calibration, measured_of, verified
from tokenexit.calibration.goal import target_of
from tokenexit.calibration.guarantee import Certified
from tokenexit.calibration.workload import Workload
from tokenexit.policies import Policy, from_config
from tokenexit.policies.never import Never


def promised(
    found: Certified,
    config: CalibrateConfig,
    work: Workload,
    count: int,
    clock: Clock | None = None,
) -> Calibration:
    """What was certified as a calibration; by the clock, only where it is faster than full depth.

    Full depth, which breaks no promise in the precision it was certified in, may take its place.

    Args:
        found: What was certified.
        config: What was asked.
        work: The model and the texts.
        count: Texts of the whole split.
        clock: Times; None where nobody asks.
    """
    best, timing = found.best, None
    candidates = [verified(result) for result in found.runs]
    if clock is not None and found.reached:

        def trial(result: Any, policy: Policy) -> Trial:
            return Trial(result, clock.ms(policy, work.exits(work.trace(policy))), True)

        full = trial(found.full, Never())
        chosen = choose(clock, config, full, [trial(best, from_config(best.policy))])
        best, timing = chosen.result, chosen.timing
        candidates = chosen.timed([verified(found.full), *candidates])
    measured = measured_of(
        best, count, found.promise["family_chosen_on"], figures=bool(config.promises)
    )
    return Calibration(
        measured=measured,
        target=_target(config, found),
        split=work.name,
        policy=dict(best.policy),
        reached=found.reached,
        quality_full_depth=best.quality_full_depth,
        chosen=best.to_json(),
        candidates=candidates,
        promise=found.promise,
        precision=work.model.precision,
        minimise=config.minimise,
        full_depth_kept=found.full.relative_quality,
        timing=timing,
        cost_model=None if clock is None else clock.costs.to_json(),
        evidence=found.evidence,
    )


def _target(config: CalibrateConfig, found: Certified) -> dict[str, Any]:
    """What was asked; of a share of quality, also what it was promised as."""
    asked = target_of(config) if config.promises_quality else config.goals
    promised = found.promise.get("guarantee")
    return asked if promised is None else {**asked, "guarantee": promised}
