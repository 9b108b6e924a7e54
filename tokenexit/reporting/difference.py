"""How far quality is from that of full depth, with its interval, in words."""

from __future__ import annotations

from tokenexit.results import Result
from tokenexit.wording.naming import metric_name, signed


def difference_lines(result: Result) -> dict[str, str]:
    """A line for a terminal; none where no interval was saved, or it is told with the texts."""
    name, held = f"{result.metric}_difference", result.figures
    if result.generates or f"{name}_low" not in held:
        return {}
    gap, low, high = (signed(100 * held[f"{name}{end}"]) for end in ("", "_low", "_high"))
    told = f"{gap} points of {metric_name(result.metric)}, 95% interval {low} to {high}"
    return {"difference": told}
