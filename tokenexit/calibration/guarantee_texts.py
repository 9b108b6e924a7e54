"""The former place of a promise about a generator's unseen texts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.guarantee import Certified, certify
from tokenexit.calibration.open import workload_of
from tokenexit.calibration.risk import RiskControl
from tokenexit.policies import Policy


def certify_texts(
    model: Any,
    split: Any,
    families: Sequence[Policy],
    promise: RiskControl,
    *,
    name: str = "validation",
    batch_size: int = 32,
    **options: Any,
) -> Certified:
    """As ``certify``, of a generator and sources.

    Raises:
        UserError: A promise about words, or a policy that has no meaning for generated tokens.
    """
    warnings.warn(
        f"{__name__}.certify_texts is called certify now and takes a workload.",
        DeprecationWarning,
        stacklevel=2,
    )
    work = workload_of(model, split, name, batch_size)
    asked = CalibrateConfig(risk=promise.risk, delta=promise.delta, risk_of=promise.of)
    work.check(asked, families, "error")
    return certify(work, families, promise, **options)
