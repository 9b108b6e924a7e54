"""Whether the first of a comparison is first by more than chance, as far as seeds can say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tokenexit.reporting.comparison import FINE_TUNING, STATIC


def lead(
    rows: Iterable[Mapping[str, Any]], key: str = "area"
) -> tuple[str, list[str], list[str]] | None:
    """Who is first on the mean over seeds, whom it clearly beats, and whom it does not.

    Clearly: ahead on every seed, by more on the mean than the larger of the two spreads (standard
    deviations over seeds). Baselines take no part.

    Args:
        rows: Of ``comparison.summaries``.
        key: By which figure, of which more is better.

    Returns:
        Its name, those it beats and those it does not; None with fewer than two seeds or two
        entries to compare.
    """
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.get(key) is not None and row["method"] not in (FINE_TUNING, STATIC):
            found.setdefault(row["method"], {})[row["seed"]] = float(row[key])
    most = max((len(values) for values in found.values()), default=0)
    whole = {name: values for name, values in found.items() if len(values) == most}
    if most < 2 or len(whole) < 2:
        return None
    first, *others = sorted(whole, key=lambda name: -_mean(whole[name]))
    beaten = [name for name in others if _clearly(whole[first], whole[name])]
    return first, beaten, [name for name in others if name not in beaten]


def _clearly(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    if one.keys() != other.keys() or any(one[seed] <= other[seed] for seed in one):
        return False
    spread = max(float(np.std([*values.values()], ddof=1)) for values in (one, other))
    return _mean(one) - _mean(other) > spread


def _mean(values: Mapping[int, float]) -> float:
    return float(np.mean([*values.values()]))
