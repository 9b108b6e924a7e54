"""From what contenders did to what a comparison says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tokenexit.evaluation.bench.contender import Answers, Missing, because
from tokenexit.evaluation.bench.race import Timed
from tokenexit.evaluation.bench.result import Row, spread

Compare = Callable[[Answers, Answers], dict[str, Any]]
"""What a row says of answers, beside those of the plain model."""


def rows_of(
    found: Sequence[Timed | Missing], own: Sequence[Timed], texts: int, compare: Compare
) -> tuple[Row, ...]:
    """One row for each contender.

    Args:
        found: From ``race``.
        own: The plain model, ours at full depth, ours with the policy.
        texts: How many there were.
        compare: Compares answers.
    """
    base, rows = answers_of(own[0]), []
    for one in found:
        if isinstance(one, Missing):
            rows.append(Row(one.name, one.precision, reason=one.reason))
            continue
        name, precision = one.contender.name, one.contender.precision
        said, reason = _said(one, base, compare)
        if reason is not None:
            rows.append(Row(name, precision, reason=reason))
        else:
            spent = float(np.median(one.seconds))
            said["ms_per_text"] = 1000 * spent / texts
            said["per_second"] = (said.get("tokens") or texts) / spent
            rows.append(Row(name, precision, **said, **_ratios(one, own)))
    return tuple(rows)


def _ratios(one: Timed, own: Sequence[Timed]) -> dict[str, Any]:
    plain, full, early = (np.array(each.seconds) for each in own)
    spent = np.array(one.seconds)
    found = {**spread("speedup", plain / spent), **spread("ours", spent / early)}
    return {**found, "full_depth_median": float(np.median(spent / full))}


def _said(one: Timed, base: Answers, compare: Compare) -> tuple[dict[str, Any], str | None]:
    """What a row says of answers, or why there are none."""
    if one.reason is not None:
        return {}, one.reason
    try:
        return compare(answers_of(one), base), None
    except Exception as error:  # another engine may answer anything
        if not one.contender.foreign:
            raise
        return {}, f"its answers cannot be read: {because(error)}"


def answers_of(one: Timed) -> Answers:
    """All that a contender said."""
    said: dict[Any, Any] = {}
    for batch, output in one.outputs:
        said.update(one.contender.answers(batch, output))
    return said


def speedups(own: Sequence[Timed], macs: tuple[float, float, float]) -> dict[str, Any]:
    """Figures of the policy.

    Args:
        own: The plain model, ours at full depth, ours with the policy.
        macs: Multiply-accumulates of these three.
    """
    base, deep, spent = (np.array(one.seconds) for one in own)
    found = {**spread("speedup", base / spent), **spread("policy_speedup", deep / spent)}
    gain, bound, ratio = found.pop("policy_speedup_median"), macs[1] / macs[2], macs[2] / macs[0]
    return found | {
        "full_depth_speedup": float(np.median(base / deep)),
        "policy_speedup": gain,
        "bound": bound,
        "of_bound": gain / bound,
        "mac_ratio": ratio,
        "efficiency": found["speedup_median"] * ratio,
    }


def padding(lengths: Sequence[int], batch_size: int) -> float:
    """Share of padding in batches of texts in order."""
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return 1 - sum(lengths) / sum(len(batch) * max(batch) for batch in batches)
