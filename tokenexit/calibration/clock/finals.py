"""The finalists timed for real, and the choice among them: exits have to pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenexit.calibration.clock.clock import Clock
from tokenexit.calibration.clock.stopwatch import Passes
from tokenexit.evaluation.evaluate import Result
from tokenexit.policies import from_config

FULL, FIXED, POLICY, RUNNER_UP = "full depth", "fixed layer", "policy", "runner-up"


@dataclass(frozen=True)
class Finalist:
    """One choice that may be made.

    Attributes:
        role: What it is among the finalists.
        result: Figures of a real run.
        foretold: Milliseconds a text, from what operations cost.
        keeps: Whether it keeps the quality that was asked for.
    """

    role: str
    result: Result
    foretold: float
    keeps: bool = True


@dataclass(frozen=True)
class Finals:
    """Finalists, the simplest first, and their times.

    Attributes:
        finalists: Full depth always among them.
        passes: Their times, in the same order.
    """

    finalists: Sequence[Finalist]
    passes: Passes

    def fastest(self) -> int | None:
        """The fastest that keeps the quality; none but beyond the noise is better than a simpler.

        None where nothing keeps it.
        """
        best: int | None = None
        for place, finalist in enumerate(self.finalists):
            if finalist.keeps and (best is None or self.passes.faster(place, best)):
                best = place
        return best

    def best_within(self, ms: float) -> int | None:
        """The best quality within a time; of equal ones a simpler, unless that is slower.

        None where all take longer.
        """
        best: int | None = None
        for place in range(len(self.finalists)):
            if self.passes.ms(place) > ms:
                continue
            if best is None or self._better(place, best):
                best = place
        return best

    def _better(self, place: int, than: int) -> bool:
        one, other = self.finalists[place].result, self.finalists[than].result
        if one.quality == other.quality:
            return self.passes.faster(place, than)
        return (one.quality > other.quality) != one.lower_is_better

    def of(self, role: str) -> int | None:
        """The first finalist of a role, if there is one."""
        return next((n for n, one in enumerate(self.finalists) if one.role == role), None)

    def table(self, chosen: int | None) -> dict[str, Any]:
        """Times, and whether the choice is faster than full depth, as plain data."""
        rows = [
            {
                "name": one.role,
                "policy": dict(one.result.policy),
                "ms": self.passes.ms(place),
                "ms_p10": self.passes.ms(place, 10),
                "ms_p90": self.passes.ms(place, 90),
                "ms_foretold": one.foretold,
                "relative_quality": one.result.relative_quality,
                "keeps": one.keeps,
                "chosen": place == chosen,
            }
            for place, one in enumerate(self.finalists)
        ]
        full = self.of(FULL)
        pays = chosen is not None and full is not None and chosen != full
        return {
            "texts": self.passes.texts,
            "passes": int(self.passes.seconds.shape[1]),
            "rows": rows,
            "pays": bool(pays and self.passes.faster(chosen, full)),  # type: ignore[arg-type]
        }


def raced(clock: Clock, finalists: Sequence[Finalist]) -> Finals:
    """Time finalists in turns, the simplest first among equals."""
    order = [FULL, FIXED, POLICY, RUNNER_UP]
    ordered = sorted(finalists, key=lambda one: order.index(one.role))
    policies = [from_config(one.result.policy) for one in ordered]
    return Finals(ordered, clock.race(policies, max(one.foretold for one in ordered)))
