"""The policy of a call, with a warning where it was chosen for another precision."""

from __future__ import annotations

import logging
from typing import Protocol

from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Never, Policy, PolicyLike, from_config

logger = logging.getLogger(__name__)


class Calibrated(Protocol):
    """A model with a policy of its own."""

    settings: ExitSettings

    @property
    def policy(self) -> Policy:
        """The policy used when none is given."""
        ...

    @property
    def precision(self) -> str:
        """What inference computes with."""
        ...


def chosen_policy(model: Calibrated, given: PolicyLike | None) -> Policy:
    """The policy given, or the model's own.

    One that was calibrated in another precision keeps no promise in this: that is said once. One
    that lets nobody out makes none.

    Args:
        model: Has a policy of its own.
        given: Of the call.
    """
    if given is not None:
        return from_config(given)
    calibration, own = model.settings.calibration, model.policy
    if calibration is not None and not isinstance(own, Never):
        before, now = str(calibration.get("precision", "fp32")), model.precision
        told = vars(model).setdefault("_told_of", set())
        if before != now and (before, now) not in told:
            told.add((before, now))
            logger.warning(
                "The policy was calibrated in %s and is used in %s, where it may lose more or "
                "save less: calibrate again with --precision %s.",
                before,
                now,
                now,
            )
    return own
