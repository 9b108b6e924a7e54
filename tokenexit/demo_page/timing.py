"""A policy and full depth on the same text, taking turns under one clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch

from tokenexit.evaluation.bench.race import seconds

MOST, BUDGET = 7, 1.0
"""Rounds of one answer, and the seconds after which no further one begins."""


@dataclass(frozen=True)
class Times:
    """Medians of a few rounds.

    Attributes:
        ours_ms: Milliseconds with the policy.
        full_ms: Milliseconds at full depth.
        rounds: How many there were.
    """

    ours_ms: float
    full_ms: float
    rounds: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)


def in_turn(ours: Callable[[], object], full: Callable[[], object], device: torch.device) -> Times:
    """Time both, each round beginning with the other one; both have run before.

    Args:
        ours: Answers with the policy.
        full: Answers at full depth.
        device: Where they compute.
    """
    spent: tuple[list[float], list[float]] = ([], [])
    while not _enough(*spent):
        turns = [(ours, spent[0]), (full, spent[1])]
        for work, found in turns if len(spent[0]) % 2 else turns[::-1]:
            found.append(seconds(work, device))
    return Times(1000 * median(spent[0]), 1000 * median(spent[1]), len(spent[0]))


def _enough(ours: list[float], full: list[float]) -> bool:
    """Whether there is a median, of an odd number of rounds."""
    late = sum(ours) + sum(full) >= BUDGET
    return len(ours) >= MOST or (late and len(ours) % 2 == 1)
