"""Run the texts of a certificate again, and count those of which something else comes out."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.workload import Workload
from tokenexit.errors import UserError
from tokenexit.evaluation.reference import in_full_precision
from tokenexit.guarantees.losses import Columns
from tokenexit.guarantees.order import text_hash
from tokenexit.policies import from_config
from tokenexit.policies.never import Never
from tokenexit.wording.naming import of_texts


def texts_that_differ(work: Workload, evidence: Evidence) -> int:
    """How many texts give other numbers than in the evidence, at any of its settings.

    Args:
        work: The model, and a split with the texts of the evidence among others.
        evidence: Of the certificate.

    Raises:
        UserError: Texts are not in the split.
    """
    tested = work.on(work.split.take(_places(work.split.keys(), evidence)))
    with in_full_precision(work.model):
        tested = tested if tested.labelled else tested.answered()
        deep = tested.trace(Never())
    others = _others(evidence.full, tested.counted(deep, deep))
    for policy, columns in zip(evidence.policies, evidence.settings, strict=True):
        exits = tested.counted(tested.trace(from_config(policy)), deep)
        others |= _others(columns, exits)
    return int(others.sum())


def _places(keys: list[str], evidence: Evidence) -> list[int]:
    """Where each text of the evidence stands in a split."""
    there: dict[str, deque[int]] = defaultdict(deque)
    for place, key in enumerate(keys):
        there[text_hash(key)].append(place)
    places = [there[text].popleft() for text in evidence.texts if there[text]]
    missing = len(evidence.texts) - len(places)
    if missing:
        are, have = ("is", "has") if missing == 1 else ("are", "have")
        raise UserError(
            f"The certificate does not hold: {missing} of its {of_texts(len(evidence.texts))} "
            f"{are} not in this split, or {have} other answers here. Give the data it names."
        )
    return places


def _others(told: Columns, found: Columns) -> NDArray[np.bool_]:
    """Which texts differ in any column, ``[n]``."""
    pairs = [_unlike(told[name], found[name]) for name in told]
    others: NDArray[np.bool_] = np.any(pairs, axis=0)
    return others


def _unlike(told: Any, found: Any) -> NDArray[np.bool_]:
    if _numbers(told) and _numbers(found):
        # Counts are equal or not; sums of fractions depend on how texts were batched.
        unlike: NDArray[np.bool_] = ~np.isclose(told, found, rtol=1e-5, atol=1e-7)
        return unlike
    return np.array([list(a) != list(b) for a, b in zip(told, found, strict=True)], dtype=bool)


def _numbers(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "iuf"
