"""Which setting of a threshold to run next, so that few runs show the whole curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from tokenexit.evaluation.curve import family_name
from tokenexit.policies import Policy, from_config
from tokenexit.policies.base import ThresholdSpec

CLOSE = 1e-3
"""Settings nearer than this share of the threshold's range are not parted further."""


def next_setting(
    family: Policy,
    points: Iterable[Mapping[str, Any]],
    candidates: Iterable[Mapping[str, Any]],
    count: int,
) -> float | None:
    """A setting inside the widest gap of the curve; the loosest one first.

    Depends on what was run alone, not on when, so that an interrupted sweep goes on as it would
    have.

    Args:
        family: Whose threshold is turned.
        points: What was run, as in ``pareto.csv``; those of other families are left out.
        candidates: Of a calibration. It has simulated settings on the validation split, which
            says about where each lies.
        count: Settings to run in all, those run already included; the loosest one in any case.

    Returns:
        The setting; None when enough were run, or no gap is wider than one part in ``count`` of
        the depth.
    """
    spec, name = family.threshold_spec(), family_name(family)
    assert spec is not None
    done = {p["value"]: 1 / p["depth_speedup"] for p in points if p["family"] == name}
    loosest = _exact(family, spec.loose)
    if loosest not in done:
        return loosest  # however many were run: a curve that ends early has too small an area
    if len(done) >= count:
        return None
    # At the strict end nobody leaves, which needs no run.
    known = sorted(
        {_exact(family, spec.strict): 1.0, **done}.items(), key=lambda e: spec.place(e[0])
    )
    gaps = [(b[1] - a[1], a, b) for a, b in pairwise(known)]
    simulated = _simulated(family, candidates)
    for width, before, after in sorted(gaps, key=lambda gap: (-abs(gap[0]), gap[1])):
        if abs(width) <= 1 / count:
            break
        value = _between(family, spec, before, after, simulated)
        if value is not None and value not in done:
            return value
    return None


def _between(
    family: Policy,
    spec: ThresholdSpec,
    before: tuple[float, float],
    after: tuple[float, float],
    simulated: Mapping[float, float],
) -> float | None:
    """The simulated setting nearest to the middle of a gap, else the middle of its ends."""
    low, high = spec.place(before[0]), spec.place(after[0])
    if high - low <= CLOSE:
        return None
    middle = (before[1] + after[1]) / 2
    inside = {v: s for v, s in simulated.items() if low + CLOSE < spec.place(v) < high - CLOSE}
    useful = {v: s for v, s in inside.items() if after[1] < s < before[1]}
    if useful:
        return min(useful, key=lambda value: (abs(useful[value] - middle), value))
    value = _exact(family, _round(spec, spec.value((low + high) / 2)))
    return value if low < spec.place(value) < high else None


def _round(spec: ThresholdSpec, value: float) -> float:
    return float(round(value)) if spec.integer else float(f"{value:.4g}")


def _exact(family: Policy, value: float) -> float:
    """The setting as the policy will hold it."""
    setting = family.with_threshold(value).threshold_value()
    return float(value if setting is None else setting)


def _simulated(family: Policy, candidates: Iterable[Mapping[str, Any]]) -> dict[float, float]:
    """Share of the depth that calibration expects at each setting of a family."""
    found: dict[float, float] = {}
    for candidate in candidates:
        policy = from_config(candidate["policy"])
        speedup = candidate["depth_speedup_simulated"]
        if speedup and family_name(policy) == family_name(family):
            setting = policy.threshold_value()
            if setting is not None:
                found[float(setting)] = 1 / speedup
    return found
