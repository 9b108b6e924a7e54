"""Which way of batching an account says is the fastest; never one slower than full depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenexit.decoding.by_depth.simulate import (
    Account,
    Costs,
    Draw,
    by_depth,
    fixed_batch,
    full_depth,
)

WAITS = (0, 4, 16, 64)
"""Bounds on waiting that are tried, in rounds."""


@dataclass(frozen=True)
class Choice:
    """One way to write texts, and what it takes.

    Attributes:
        batching: ``full_depth``, ``fixed`` (with exits) or ``by_depth``.
        exits: Layers at which rows are asked.
        max_wait: By depth, rounds after which a row is due.
        account: Of it.
        over_full: Tokens a second over those of full depth in batches of the same size.
        over_all: Over those of full depth with all texts that are in flight in one batch, for
            whoever has the memory for that.
    """

    batching: str
    exits: tuple[int, ...]
    max_wait: int | None
    account: Account
    over_full: float
    over_all: float


def candidates(
    costs: Costs, exits: Sequence[Sequence[int]], batch: int, slots: int, draw: Draw, **options: int
) -> list[Choice]:
    """Every way, full depth first.

    Args:
        costs: Of the machine.
        exits: Sets of layers at which rows may be asked.
        batch: Rows of a round at most.
        slots: Texts in flight when rows wait for others.
        draw: How deep tokens go.
        options: ``seed``, ``tokens``.
    """
    deep = full_depth(costs, batch)
    known: list[tuple[str, Sequence[int], int | None, Account, int]] = [
        ("full_depth", (), None, deep, batch)
    ]
    seed = {"seed": options.get("seed", 0)}
    for some in exits:
        known.append(("fixed", some, None, fixed_batch(costs, some, batch, draw, **seed), batch))
        for wait in WAITS:
            found = by_depth(costs, some, batch, draw, slots=slots, max_wait=wait, **options)
            known.append(("by_depth", some, wait, found, slots))
    return [
        Choice(
            name,
            tuple(some),
            wait,
            account,
            deep.ms_per_token / account.ms_per_token,
            full_depth(costs, flying).ms_per_token / account.ms_per_token,
        )
        for name, some, wait, account, flying in known
    ]


def fastest(choices: Sequence[Choice]) -> Choice:
    """The one with the most tokens a second; of equals the first, which is full depth."""
    return max(choices, key=lambda choice: choice.over_full)
