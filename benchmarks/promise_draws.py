"""Many calibrations at once: what ``FixedSequence`` finds on each of many draws of texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from promise_traces import take
from scipy.special import bdtr

from tokenexit.guarantees import FixedSequence, Guarantee, Terms
from tokenexit.guarantees.bounds import bound_for
from tokenexit.guarantees.bounds.betting import log_wealth
from tokenexit.guarantees.bounds.binomial import Binomial

Columns = Mapping[str, Any]
BLOCK = 200_000
"""Texts that are looked at together: they fit a processor's cache."""


def last_passed(
    asked: Sequence[Guarantee], full: Columns, settings: Sequence[Columns], drawn: np.ndarray
) -> np.ndarray:
    """How many settings pass in each calibration, from the first; a test holds it to the class.

    Args:
        asked: Promises.
        full: All known texts at full depth.
        settings: The same texts at each setting that is tested, in order.
        drawn: Texts of each calibration, ``[draws, texts]``.
    """
    if any(g.every or not g.kind.strict_first for g in asked):
        return np.array([_one(asked, full, settings, texts) for texts in drawn])
    kept = np.zeros(len(drawn), dtype=np.int64)
    alive = np.arange(len(drawn))
    for exits in settings:
        for guarantee in asked:
            terms = guarantee.kind.terms(exits, full, guarantee.allowed)
            size = max(1, BLOCK // drawn.shape[1])
            parts = [alive[n : n + size] for n in range(0, len(alive), size)]
            passed = [_passed(guarantee, terms, drawn[part]) for part in parts]
            alive = alive[np.concatenate(passed)] if parts else alive
        kept[alive] += 1
    return kept


def _one(
    asked: Sequence[Guarantee], full: Columns, settings: Sequence[Columns], texts: np.ndarray
) -> int:
    """One calibration, by the class that calibrates."""
    read = {name for one in asked for name in one.kind.needs}
    read |= {one.every.partition(":")[0] for one in asked if one.every}

    def here(columns: Columns) -> Columns:
        return take({name: columns[name] for name in read}, texts)

    sequence = FixedSequence(asked, here(full), np.arange(len(texts)))
    kept, _ = sequence.last(here(exits) for exits in settings)
    return sequence.afterwards([here(exits) for exits in settings[:kept]])[0]


def _passed(guarantee: Guarantee, terms: Terms, drawn: np.ndarray) -> np.ndarray:
    """Whether the promise may be given, of each calibration."""
    assert guarantee.delta is not None
    here = terms.take(drawn).settled()
    if isinstance(bound_for(terms), Binomial):
        lost = np.count_nonzero(here.loss > 0.5, axis=-1)
        found: np.ndarray = bdtr(lost, drawn.shape[1], terms.allowed) <= guarantee.delta
        return found
    best = log_wealth(here, guarantee.delta).max(axis=-1)
    enough: np.ndarray = best >= math.log(1 / guarantee.delta)
    return enough
