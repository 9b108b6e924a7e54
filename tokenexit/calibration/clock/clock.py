"""A model, its texts and what operations cost: how long any choice would take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenexit.calibration.clock.cost_model import CostModel
from tokenexit.calibration.clock.counts import ASK, kind_of
from tokenexit.calibration.clock.probes import learn
from tokenexit.calibration.clock.stopwatch import LEAST, Passes, Stopwatch, interleaved, stopwatch
from tokenexit.calibration.clock.timed import Timed, repeated
from tokenexit.evaluation.processes import gather, is_main
from tokenexit.policies import Policy

logger = logging.getLogger(__name__)

RACE = 20.0
"""Seconds that timing the finalists may take, once each had its passes."""


@dataclass(frozen=True)
class Clock:
    """Foretells times from costs, and takes times.

    Attributes:
        timed: The model and its texts.
        costs: What its operations take.
        watch: Measures.
    """

    timed: Timed
    costs: CostModel
    watch: Stopwatch = stopwatch

    def ms(self, policy: Policy, exits: Any) -> float:
        """Milliseconds a text that a run of all texts would take.

        Args:
            policy: Who halts.
            exits: Where all rows left, of a real run or a simulated one.
        """
        batches = self.timed.batches()
        texts = max(sum(map(self.timed.texts, batches)), 1)
        return 1000 * self.costs.seconds(self.timed.counts(batches, policy, exits)) / texts

    def race(self, policies: Sequence[Policy], ms: float) -> Passes:
        """Time policies on the same batches, in turns; the main process does for all.

        Args:
            policies: Finalists.
            ms: What a text takes at most, as foretold; says how many texts fit.
        """
        return gather([self._race(policies, ms) if is_main() else None])[0]  # type: ignore[return-value]

    def _race(self, policies: Sequence[Policy], ms: float) -> Passes:
        batches = self.timed.batches()
        texts = sum(map(self.timed.texts, batches))
        pass_seconds = len(policies) * texts * max(ms, 1e-6) / 1000
        fitting = int(len(batches) * min(1.0, RACE / ((LEAST + 1) * pass_seconds)))
        size = repeated(self.timed.batch_size)
        chosen = [batches[place] for place in _evenly(len(batches), max(fitting, size))]
        turns = [chosen[n : n + size] for n in range(0, len(chosen), size)]
        work = [
            [lambda t=turn, p=policy: self.timed.run(t, p) for turn in turns] for policy in policies
        ]
        texts = max(sum(map(self.timed.texts, chosen)), 1)
        return interleaved(work, self.timed.device, texts, RACE, self.watch)


def _evenly(count: int, wanted: int) -> list[int]:
    """Places from the first on; the last batch, which may be a short one, only among all."""
    if wanted >= count:
        return list(range(count))
    return np.linspace(0, count - 1, wanted, endpoint=False).astype(int).tolist()


def start(
    timed: Timed,
    families: Sequence[Policy],
    conditions: dict[str, Any],
    *,
    known: CostModel | None = None,
    watch: Stopwatch = stopwatch,
) -> Clock:
    """A clock with costs that are known, or measured now.

    Args:
        timed: The model and its texts.
        families: Policies that will be tried.
        conditions: Machine, precision, model: where costs have to hold.
        known: Costs that were measured before; taken where they are of the same conditions and
            know all the questions.
        watch: Measures.
    """
    kinds = {kind_of(family) for family in families} - {None}
    if (
        known is not None
        and known.conditions == conditions
        and all(f"{ASK}{kind}" in known.costs for kind in kinds)
    ):
        return Clock(timed, known, watch)
    mine = None
    if is_main():
        logger.info("measuring what layers, heads and questions take on this machine")
        mine = learn(timed, families, conditions=conditions, watch=watch)
    return Clock(timed, gather([mine])[0], watch)  # type: ignore[arg-type]
