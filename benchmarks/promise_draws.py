"""Many calibrations at once: what ``FixedSequence`` finds on each of many draws of texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    if any(g.every or g.loss in _ALONE or not g.kind.strict_first for g in asked):
        return np.array([_one(asked, full, settings, texts) for texts in drawn])
    kept = np.zeros(len(drawn), dtype=np.int64)
    alive = np.arange(len(drawn))
    for exits in settings:
        for guarantee in asked:
            terms = _terms(guarantee, exits, full, drawn.shape[1])
            size = max(1, BLOCK // drawn.shape[1])
            parts = [alive[n : n + size] for n in range(0, len(alive), size)]
            passed = [_passed(guarantee, terms, drawn[part]) for part in parts]
            alive = alive[np.concatenate(passed)] if parts else alive
        kept[alive] += 1
    return kept


_ALONE = ("words changed",)
"""How much a text may lose depends on the texts that were drawn."""


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


def _terms(guarantee: Guarantee, exits: Columns, full: Columns, texts: int) -> Terms:
    """Of all known texts, as if so many were tested: their number may say how much counts."""
    known = len(full["rows"])
    places = np.arange(math.ceil(known / texts) * texts) % known
    read = guarantee.kind.needs
    parts = [
        guarantee.kind.terms(*(take({n: c[n] for n in read}, some) for c in (exits, full)),
                             guarantee.allowed)
        for some in places.reshape(-1, texts)
    ]  # fmt: skip
    floor = parts[0].floor  # nearly the same in all
    low, high = (
        np.maximum(np.concatenate(ends)[:known], floor)
        for ends in ([one.low for one in parts], [one.high for one in parts])
    )
    same = all(one.high is one.low for one in parts)
    return replace(parts[0], low=low, high=low if same else high)


def _passed(guarantee: Guarantee, terms: Terms, drawn: np.ndarray) -> np.ndarray:
    """Whether the promise may be given, of each calibration."""
    assert guarantee.delta is not None
    here = terms.take(drawn)
    if isinstance(bound_for(terms), Binomial):
        lost = np.count_nonzero(here.loss > 0.5, axis=-1)
        found: np.ndarray = bdtr(lost, drawn.shape[1], terms.allowed) <= guarantee.delta
        return found
    best = log_wealth(here, guarantee.delta).max(axis=-1)
    enough: np.ndarray = best >= math.log(1 / guarantee.delta)
    return enough
