"""Rules of policies that know a row's depth before the first layer."""

from __future__ import annotations

from tokenexit.policies.rule import Depths, Network, Rule, closed


def assigned(network: Network, depths: Depths) -> Rule:
    """Halt at the first layer asked that has reached the row's own, strictly below one more."""
    lines = tuple(
        (float(layer + 1) if asked else closed(True),)
        for layer, asked in enumerate(network.asked, 1)
    )
    return Rule("depth", network.asked, lines, depths=depths)
