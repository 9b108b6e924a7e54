"""The best setting of a policy within a budget: chosen on validation texts, measured on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenexit.calibration.simulate import grid
from tokenexit.evaluation.evaluate import Result
from tokenexit.policies import Policy, from_config

SETTINGS = 24
"""Settings of a threshold that are run on the validation split."""

Measure = Callable[[Policy], Result]


def swept(family: Policy, run: Measure) -> list[dict[str, Any]]:
    """Settings of a family, run from strict to loose."""
    return [_figures(run(family.with_threshold(value))) for value in grid(family, SETTINGS)]


def within(settings: Sequence[Mapping[str, Any]], speedup: float) -> Mapping[str, Any] | None:
    """Of the settings that spend so many times less than the plain model, that of the best quality.

    Of equals the cheapest; None where none is so cheap.

    Args:
        settings: From ``swept``.
        speedup: Times fewer multiply-accumulates, policy and heads included.
    """
    cheap = [one for one in settings if one["mac_ratio"] * speedup <= 1.0]

    def worth(one: Mapping[str, Any]) -> tuple[float, float]:
        quality = float(one["quality"])
        return -quality if one["lower_is_better"] else quality, -float(one["mac_ratio"])

    return max(cheap, key=worth, default=None)


def measured_within(
    settings: Sequence[Mapping[str, Any]], speedup: float, run: Measure
) -> dict[str, Any]:
    """What the setting chosen for a budget gives on other texts.

    Args:
        settings: From ``swept``, on validation texts.
        speedup: See ``within``.
        run: Runs a policy on the other texts.

    Returns:
        ``policy``, ``validation`` and ``test``; nothing where no setting is so cheap.
    """
    chosen = within(settings, speedup)
    if chosen is None:
        return {}
    policy = from_config(chosen["policy"])
    return {"policy": chosen["policy"], "validation": chosen, "test": _figures(run(policy))}


def _figures(result: Result) -> dict[str, Any]:
    names = (
        "policy", "quality", "relative_quality", "mean_exit_layer", "depth_speedup", "mac_ratio",
        "lower_is_better",
    )  # fmt: skip
    found = result.to_json()
    return {name: found[name] for name in names}
