"""How much of full depth's quality is kept."""

from __future__ import annotations

from tokenexit.metrics import METRICS


def kept(quality: float, full: float, lower: bool = False) -> float:
    """Share of full-depth quality that is kept; 1 where there was nothing to lose.

    Args:
        quality: With exits, 0 or more.
        full: At full depth.
        lower: Whether lower is better: then it is full depth's errors over those with exits.
    """
    if lower:
        return full / quality if quality else 1.0
    return quality / full if full else 1.0


def lower_is_better(metric: str) -> bool:
    """Whether a metric counts errors."""
    return metric == "mse" or any(
        cls.lower_is_better for name, cls in METRICS.items() if name == metric
    )
