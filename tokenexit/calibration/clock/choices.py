"""Where a policy may be asked: every question that is left out is time that is not spent."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.calibration.clock.counts import asked_at
from tokenexit.policies import Policy
from tokenexit.policies.every_kth import EveryKth
from tokenexit.policies.from_layer import FromLayer


def asked_less(family: Policy, exit_layers: Sequence[int]) -> list[Policy]:
    """A policy asked at fewer exits: every second, every third, or from a layer on.

    Args:
        family: Asked wherever it is now.
        exit_layers: Layers with an exit, the top included.

    Returns:
        Policies that differ in where they are asked, and are asked at all.
    """
    below = exit_layers[:-1]
    seen = {asked_at(family, below), ()}
    middle = [layer for layer in below if layer <= exit_layers[-1] / 2][1:]
    found: list[Policy] = []
    for policy in (
        *(EveryKth(family, k) for k in (2, 3)),
        *(FromLayer(family, layer) for layer in middle),
    ):
        asked = asked_at(policy, below)
        if asked not in seen:
            seen.add(asked)
            found.append(policy)
    return found
