"""Fit a context gate on a table of training rows, exit after exit.

An exit's gate is taught about the rows that would arrive there: those that the gates before let
through, whose neighbours may have left and stay as they were. Taught about all rows instead, a
linear gate spends itself on easy ones that are long gone, and saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.context.config import GateConfig
from tokenexit.context.gate import ContextGate
from tokenexit.context.learn import FitOptions, fit_exit, projection
from tokenexit.context.table import Table
from tokenexit.context.targets import TARGETS
from tokenexit.errors import UserError
from tokenexit.policies import index_state

HALTING = 0.03
"""Rows less likely wrong than this leave while the gate is fitted."""

ROWS_PER_NUMBER = 10
"""Rows that a gate has to see for each number it reads."""


@dataclass(frozen=True, eq=False)
class Arrived:
    """Rows that arrived at an exit below the top.

    Attributes:
        exit: Which of the exits, from 0.
        rows: Their numbers in the table, ``[M]``.
        numbers: What the gate reads of them, ``[M, F]``.
        named: The class that the exit named, ``[M]``.
    """

    exit: int
    rows: Tensor
    numbers: Tensor
    named: Tensor

    @classmethod
    def joined(cls, exit: int, parts: Sequence[Arrived]) -> Arrived:
        """What arrived at one exit, batch after batch."""
        rows, numbers, named = zip(*((p.rows, p.numbers, p.named) for p in parts), strict=True)
        return cls(exit, torch.cat(rows), torch.cat(numbers), torch.cat(named))


def fit_table(table: Table, config: GateConfig, options: FitOptions | None = None) -> ContextGate:
    """Fit a gate on what exits say when nobody leaves, rows leaving in simulation.

    Args:
        table: Training rows.
        config: What the gate looks at.
        options: How it is fitted.

    Raises:
        UserError: Too few rows, rows with a NaN, or a target without labels.
    """
    gate = ContextGate(config, 0 if table.hidden is None else table.hidden.shape[-1])
    check_enough(gate, table)
    fitter = GateFitter(gate, table, options)
    if config.shared:
        fitter.project(range(len(config.exits)), [torch.arange(len(table))] * len(config.exits))
        fitter.fit(simulated(gate, table, None))
        fitter.fit(simulated(gate, table, HALTING))
        return gate
    rows, memory = torch.arange(len(table)), None
    for exit, layer in enumerate(config.exits):
        fitter.project([exit], [rows])
        numbers, memory = gate.numbers(table.signals(exit, rows), memory)
        fitter.fit([Arrived(exit, rows, numbers, table.said[exit][rows])])
        stay = staying(gate.judge(layer, numbers), HALTING, rows_needed(gate))
        rows, memory = rows[stay], index_state(memory, stay)
    return gate


class GateFitter:
    """Fits a gate to rows that were drawn with exits on.

    Args:
        gate: Its weights change in place.
        table: What every exit says when nobody leaves; tells the top's answers.
        options: How it is fitted.

    Raises:
        UserError: The target asks for labels, and there are none.
    """

    def __init__(self, gate: ContextGate, table: Table, options: FitOptions | None = None) -> None:
        name = gate.config.target
        self._gate, self._table, self._options = gate, table, options or FitOptions()
        self._target = TARGETS.get(name)()
        if self._target.needs_gold and not bool((table.gold >= 0).any()):
            raise UserError(f"The target {name!r} needs labelled texts to fit a gate on.")
        self._weight = self._target.weight(table.said, table.gold, table.classes)

    def fit(self, arrived: Sequence[Arrived]) -> None:
        """Fit the gates of some exits; of a shared gate those of all at once.

        Raises:
            UserError: Numbers of a row are none.
        """
        parts = []
        for part in arrived:
            check_numbers(part.numbers, self._table.layers[part.exit])
            parts.append((part.numbers, self._wrong(part), self._weights(part.rows)))
        if self._gate.config.shared:
            columns = [torch.cat(column) for column in zip(*parts, strict=True)]
            fit_exit(self._gate, 0, columns[0], columns[1], columns[2], self._options)
            return
        for part, (numbers, wrong, weight) in zip(arrived, parts, strict=True):
            fit_exit(self._gate, part.exit, numbers, wrong, weight, self._options)

    def project(self, exits: Sequence[int], rows: Sequence[Tensor]) -> None:
        """Learn the matrix by which states of some rows become a few numbers, if there is one."""
        table = self._table
        if not self._gate.config.projection or table.hidden is None:
            return
        said = table.said
        parts = [
            Arrived(exit, part, table.hidden[exit][part].float(), said[exit][part])
            for exit, part in zip(exits, rows, strict=True)
        ]
        states = torch.cat([part.numbers for part in parts])
        wrong = torch.cat([self._wrong(part) for part in parts])
        place = self._gate.place(table.layers[exits[0]])
        self._gate.project[place] = projection(
            states, wrong, self._gate.config.projection, self._options
        )

    def _wrong(self, part: Arrived) -> Tensor:
        said = self._table.said[:, part.rows]
        said[part.exit] = part.named
        return self._target.wrong(said, self._table.gold[part.rows])[part.exit]

    def _weights(self, rows: Tensor) -> Tensor:
        return torch.ones(len(rows)) if self._weight is None else self._weight[rows]


def simulated(gate: ContextGate, table: Table, halting: float | None) -> list[Arrived]:
    """Rows that arrive at each exit when those that the gate is sure of leave.

    Args:
        gate: Judges them.
        table: The rows.
        halting: How sure; nobody leaves when None.
    """
    rows, memory, found = torch.arange(len(table)), None, []
    for exit, layer in enumerate(gate.config.exits):
        numbers, memory = gate.numbers(table.signals(exit, rows), memory)
        found.append(Arrived(exit, rows, numbers, table.said[exit][rows]))
        if halting is not None:
            stay = staying(gate.judge(layer, numbers), halting, rows_needed(gate))
            rows, memory = rows[stay], index_state(memory, stay)
    return found


def staying(wrong: Tensor, halting: float, least: int) -> Tensor:
    """Who stays, ``[N]`` bool; the least sure in any case: the next exit needs rows enough."""
    if len(wrong) > least:
        halting = min(halting, float(wrong.topk(least).values[-1]))
    return ~(wrong < halting)


def rows_needed(gate: ContextGate) -> int:
    """Rows that a gate has to see."""
    return ROWS_PER_NUMBER * gate.inputs


def check_enough(gate: ContextGate, table: Table) -> None:
    """Refuse too few rows.

    Raises:
        UserError: Says how many texts it takes.
    """
    texts, rows, needed = len(table.sequence.unique()), len(table), rows_needed(gate)
    if rows < needed:
        more = -(-needed * max(texts, 1) // max(rows, 1))
        raise UserError(
            f"A context gate that reads {gate.inputs} numbers is fitted on at least {needed} rows; "
            f"these {texts} text(s) have {rows}. Give about {more} texts of the training split, or "
            "fewer features or neighbours."
        )


def check_numbers(numbers: Tensor, layer: int) -> None:
    """Refuse numbers that are none.

    Raises:
        UserError: Says at which exit, and of how many rows.
    """
    broken = int((~numbers.isfinite()).any(dim=1).sum())
    if broken:
        raise UserError(
            f"The exit after layer {layer} says NaN or infinity of {broken} of {len(numbers)} "
            "rows, so no gate can be fitted to it: look at the weights of the model first."
        )
