"""What an evaluation says of the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenexit.oracle.rows import Rows
from tokenexit.oracle.tally import Tally, reached, tallies, tally


@dataclass(frozen=True)
class Account:
    """The oracle's line, how much of it is reached, and who pays.

    Attributes:
        exit_layer: Layer at which it lets rows leave, on average.
        depth_speedup: Layers it saves, as a factor.
        reached: Share of its saving that the policy reaches.
        all: All rows that were compared one by one.
        by_class: The same for each class; those that lose most layers come first.
    """

    exit_layer: float
    depth_speedup: float
    reached: float | None
    all: Tally
    by_class: Sequence[Tally]


def account(
    rows: Rows,
    labels: Sequence[str],
    num_layers: int,
    *,
    exit_layer: float | None = None,
    oracle_layer: float | None = None,
) -> Account | None:
    """Draw up the account of a run; None without rows.

    Args:
        rows: Rows that can be compared one by one.
        labels: Class of each.
        num_layers: Depth of the network.
        exit_layer: Mean exit layer, where more rows left than can be compared.
        oracle_layer: The oracle's, likewise.
    """
    if not len(rows):
        return None
    left = float(rows.left.mean()) if exit_layer is None else exit_layer
    oracle = float(rows.oracle.mean()) if oracle_layer is None else oracle_layer
    return Account(
        exit_layer=oracle,
        depth_speedup=num_layers / oracle,
        reached=reached(left, oracle, num_layers),
        all=tally(rows, "all", num_layers),
        by_class=tallies(rows, labels, num_layers),
    )
