"""One router an exit, which sends rows on or out (after BE3R)."""

from __future__ import annotations

from tokenexit.gates.base import GATES
from tokenexit.gates.units import UnitsGate


@GATES.register("router")
class RouterGate(UnitsGate):
    """A linear unit for each exit that says which share of a row goes on to later layers.

    The objective ``routed`` trains it with the network; ``learned_gate`` sends a row out where the
    share is below its threshold, one half as trained. After BE3R (Mangrulkar et al. 2022).

    Args:
        width: Width of the states, ``H``.
        num_classes: Not looked at.
        exits: Layers with an exit, the top excluded.
        bias: Where each router starts, before the sigmoid.
    """
