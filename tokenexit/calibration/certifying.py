"""Test promises of a model as it is, or of a list of settings, and leave the model as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.goal import check_family
from tokenexit.calibration.guarantee import Certified
from tokenexit.calibration.guaranteed import guaranteed, guaranteed_as_it_is
from tokenexit.calibration.open import workload_of
from tokenexit.policies import Policy


def certified(
    model: Any,
    split: Any,
    guarantee: str,
    *,
    name: str = "test",
    batch_size: int = 32,
    choose: bool = False,
    families: Sequence[Policy] | None = None,
    design: Any = None,
) -> Certified:
    """Test whether promises may be given, in the precision the model is in.

    Args:
        model: A tagger, text classifier, cascade or generator.
        split: Texts that neither it nor its policy was chosen on.
        guarantee: What has to hold, such as ``f1 kept >= 0.99 with 90%``.
        name: Name of the split.
        batch_size: Texts a batch.
        choose: Whether to look for the loosest setting that may be served; else the model's own
            policy is tested, and nothing else.
        families: With ``choose``, policies whose thresholds are turned.
        design: With ``choose``, texts that fix the settings and their order; see ``guaranteed``.

    Raises:
        UserError: A promise has no meaning for the model, or needs answers that are not there.
    """
    config = CalibrateConfig(guarantee=guarantee)
    work = workload_of(model, split, name, batch_size)
    policies = list(families or work.families(by_clock=False)) if choose else []
    for policy in policies:
        check_family(policy)
    work.check(config, policies or [model.policy], "error")
    work.check_texts()
    if choose:
        return guaranteed(work, policies, config.guarantees, settings=config.grid, design=design)
    return guaranteed_as_it_is(work, config.guarantees)
