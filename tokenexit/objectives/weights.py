"""Weights of the exits' losses, by rule."""

from __future__ import annotations

from tokenexit.errors import UserError, unknown_name

WEIGHTS = ("depth", "top", "uniform")
"""Rules for weighing the exits' losses, besides a number."""


def layer_weights(rule: str | float, exit_layers: tuple[int, ...]) -> dict[int, float]:
    """Weights of the exits' losses, adding up to 1.

    Args:
        rule: ``depth`` (in proportion to the layer, as PABEE and TOKEE), ``uniform``, or the
            share of the top, the rest going by depth: a number, or ``top`` for a half. The
            larger it is, the less the lower exits cost the top.
        exit_layers: Depths with a head.

    Raises:
        UserError: Unknown rule, or a share that is not between 0 and 1.
    """
    share = 0.5 if rule == "top" else rule
    if isinstance(share, str):
        if share not in WEIGHTS:
            raise unknown_name("rule for loss weights", share, WEIGHTS)
        raw = {layer: 1.0 if rule == "uniform" else float(layer) for layer in exit_layers}
        return {layer: weight / sum(raw.values()) for layer, weight in raw.items()}
    if isinstance(share, bool) or not 0 < share <= 1:
        raise UserError(f"The top's share of the loss must be above 0 and up to 1, not {rule!r}.")
    *lower, top = exit_layers
    shared = {layer: (1 - share) * layer / sum(lower) for layer in lower}
    return {**shared, top: share if lower else 1.0}
