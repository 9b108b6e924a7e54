"""Throughput of fixed batches and of rows that wait, by an account with stated costs.

The costs are data, the schedule is the one that runs, and the depths are drawn: what a layer costs
one row and many, what a fetched decision costs, and how deep tokens go decide what pays.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenexit.decoding.by_depth.schedule import Schedule

Draw = Callable[[random.Random], int]
"""The layer that the next token needs, from 1."""


@dataclass(frozen=True)
class Costs:
    """What decoding takes on a machine, in milliseconds.

    Attributes:
        name: Where the numbers come from.
        layers: Depth of the decoder.
        step: Of one step at full depth, captured whole, by rows: ``(rows, ms)``, ascending, at
            least two. In between and beyond, a line through the nearest two.
        decision: Of letting the host know who left.
        copy: Of keys and values that those who left give to one layer above.
        planning: Of choosing the rows of a round, on the host.
    """

    name: str
    layers: int
    step: tuple[tuple[int, float], ...]
    decision: float
    copy: float
    planning: float

    def full_step(self, rows: int) -> float:
        """Of one step at full depth for so many rows."""
        below = [pair for pair in self.step[:-1] if pair[0] <= rows] or [self.step[0]]
        place = self.step.index(below[-1])
        (low, at_low), (high, at_high) = self.step[place : place + 2]
        return at_low + (rows - low) * (at_high - at_low) / (high - low)

    def segment(self, layers: int, rows: int) -> float:
        """Of some layers for so many rows."""
        return layers * self.full_step(rows) / self.layers


H200 = Costs(
    name="one H200, T5-base shape, bf16, a CUDA graph a segment; measured at 1 and 32 rows, a line "
    "beyond",
    layers=12,
    step=((1, 0.82), (32, 0.97)),
    decision=0.1,
    copy=0.0125,
    planning=0.04,
)
"""From a prototype: whole steps 0.82 ms at batch 1 and 0.97 at 32; about 0.1 ms a fetched decision;
0.47 ms for 4 of 12 layers with one decision, of which layers and decision explain 0.37. A round of
``Schedule`` with 64 rows took 0.04 ms on one core of a busy Xeon."""


@dataclass(frozen=True)
class Account:
    """What came of a simulation.

    Attributes:
        ms_per_token: Over all texts in flight.
        rows: Rows of a round, on average.
        longest_wait: Rounds that a row was passed over, at most.
    """

    ms_per_token: float
    rows: float
    longest_wait: int


def geometric(mean: float, layers: int) -> Draw:
    """Depths of which each layer lets out the same share of those that reach it."""

    def draw(chance: random.Random) -> int:
        depth = 1
        while depth < layers and chance.random() > 1 / mean:
            depth += 1
        return depth

    return draw


def full_depth(costs: Costs, batch: int) -> Account:
    """Every row through every layer, a whole step at once."""
    return Account(costs.full_step(batch) / batch, batch, 0)


def fixed_batch(
    costs: Costs, exits: Sequence[int], batch: int, draw: Draw, *, steps: int = 1000, seed: int = 0
) -> Account:
    """All rows of a batch go as deep as the deepest; who has left is only masked."""
    chance, spent = random.Random(seed), 0.0
    bounds, starts = [*exits, costs.layers], [0, *exits]
    for _ in range(steps):
        deepest = max(draw(chance) for _ in range(batch))
        for start, bound in zip(starts, bounds, strict=True):
            if start < deepest:
                spent += _segment(costs, start, bound, batch, deepest <= bound)
    return Account(spent / (steps * batch), float(batch), 0)


def by_depth(
    costs: Costs,
    exits: Sequence[int],
    batch: int,
    draw: Draw,
    *,
    slots: int,
    max_wait: int,
    tokens: int = 6000,
    seed: int = 0,
) -> Account:
    """Rows wait for others, planned as ``Schedule`` plans; texts never run out.

    Args:
        costs: Of the machine.
        exits: Layers at which rows are asked, below the top.
        batch: Rows of a round at most.
        draw: How deep tokens go.
        slots: Texts in flight.
        max_wait: Rounds after which a row is due.
        tokens: How many are written.
        seed: Of the draws.
    """
    chance, bounds, starts = random.Random(seed), [*exits, costs.layers], [0, *exits]
    schedule = Schedule(len(bounds), batch, max_wait)
    depths = [draw(chance) for _ in range(slots)]
    schedule.wait(0, range(slots))
    done, spent, rows, longest = 0, 0.0, 0, 0
    while done < tokens:
        planned = schedule.next()
        bound = bounds[planned.segment]
        top = bound == costs.layers
        left = [row for row in planned.rows if top or depths[row] <= bound]
        spent += costs.planning + _segment(
            costs, starts[planned.segment], bound, len(planned.rows), bool(left) and not top
        )
        staying = [row for row in planned.rows if not top and depths[row] > bound]
        schedule.wait(planned.segment + 1, staying) if staying else None
        for row in left:
            depths[row] = draw(chance)
        schedule.wait(0, left)
        done, rows = done + len(left), rows + len(planned.rows)
        longest = max(longest, planned.waited)
    return Account(spent / done, rows / schedule.rounds, longest)


def _segment(costs: Costs, start: int, bound: int, rows: int, left: bool) -> float:
    """A segment, who left of it, and what they give to the layers above."""
    spent = costs.segment(bound - start, rows)
    if bound == costs.layers:
        return spent
    return spent + costs.decision + (costs.copy * (costs.layers - bound) if left else 0.0)
