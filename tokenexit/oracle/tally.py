"""Which rows pay, counted for all of them and for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenexit.oracle.rows import Rows


@dataclass(frozen=True)
class Tally:
    """Counts of some rows.

    Attributes:
        label: What they have in common.
        rows: How many there are.
        exit_layer: Layer at which they left, on average.
        oracle_layer: Layer at which the oracle lets them leave, on average.
        reached: Share of the oracle's saving; see the function of this name.
        early: Rows that left before the oracle lets them.
        false_alarms: Those of them that say something else than full depth.
        disturbed: Rows that say something else though they did not leave early.
        late: Rows that left after the oracle lets them.
        layers_lost: Layers of theirs after the oracle's.
        share_of_lost: Of all layers that are lost so.
    """

    label: str
    rows: int
    exit_layer: float
    oracle_layer: float
    reached: float | None
    early: int
    false_alarms: int
    disturbed: int
    late: int
    layers_lost: int
    share_of_lost: float


def reached(exit_layer: float, oracle_layer: float, num_layers: int) -> float | None:
    """The share of the oracle's saving that a policy reaches; None where there is none to reach.

    ``(L - policy's mean layer) / (L - oracle's mean layer)``: above 1 where rows leave so early
    that they pay with false alarms.
    """
    saving = num_layers - oracle_layer
    return (num_layers - exit_layer) / saving if saving > 0 else None


def tally(rows: Rows, label: str, num_layers: int, all_lost: int | None = None) -> Tally:
    """Count rows.

    Args:
        rows: At least one.
        label: What they have in common.
        num_layers: Depth of the network.
        all_lost: Layers that all rows lost, if these are a part of them.
    """
    left, oracle, lost = float(rows.left.mean()), float(rows.oracle.mean()), int(rows.lost.sum())
    whole = lost if all_lost is None else all_lost
    return Tally(
        label=label,
        rows=len(rows),
        exit_layer=left,
        oracle_layer=oracle,
        reached=reached(left, oracle, num_layers),
        early=int(rows.early.sum()),
        false_alarms=int(rows.alarms.sum()),
        disturbed=int(rows.disturbed.sum()),
        late=int(rows.late.sum()),
        layers_lost=lost,
        share_of_lost=lost / whole if whole else 0.0,
    )


def tallies(rows: Rows, labels: Sequence[str], num_layers: int) -> list[Tally]:
    """Count the rows of each label; those that lose most layers come first.

    Args:
        rows: Where they left.
        labels: Of each row.
        num_layers: Depth of the network.
    """
    names, number = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    lost = int(rows.lost.sum())
    found = [
        tally(rows.take(number == place), str(name), num_layers, lost)
        for place, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: (-one.layers_lost, -one.rows, one.label))
