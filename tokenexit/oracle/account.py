"""What an evaluation says of the oracle, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tokenexit.oracle.rows import Rows
from tokenexit.oracle.tally import reached, tallies, tally


def account(
    rows: Rows,
    labels: Sequence[str],
    num_layers: int,
    *,
    exit_layer: float | None = None,
    oracle_layer: float | None = None,
) -> dict[str, Any] | None:
    """The oracle's line, how much of it is reached, and who pays.

    Args:
        rows: Rows that can be compared one by one.
        labels: Class of each.
        num_layers: Depth of the network.
        exit_layer: Mean exit layer, where more rows left than can be compared.
        oracle_layer: The oracle's, likewise.

    Returns:
        ``exit_layer``, ``depth_speedup`` and ``reached`` of the oracle, ``all`` and ``by_class``
        as tallies; None without rows.
    """
    if not len(rows):
        return None
    left = float(rows.left.mean()) if exit_layer is None else exit_layer
    oracle = float(rows.oracle.mean()) if oracle_layer is None else oracle_layer
    return {
        "exit_layer": oracle,
        "depth_speedup": num_layers / oracle,
        "reached": reached(left, oracle, num_layers),
        "all": asdict(tally(rows, "all", num_layers)),
        "by_class": [asdict(one) for one in tallies(rows, labels, num_layers)],
    }
