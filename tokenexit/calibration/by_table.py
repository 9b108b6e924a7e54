"""Settings simulated on the table of one full-depth pass; the most promising are then run.

Simulation ignores that states change once neighbours halt, so the best families are run by the
real engine, and their setting is moved until real runs have bracketed the point where the promise
breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenexit.calibration.clock.choices import asked_less
from tokenexit.calibration.found import Candidate
from tokenexit.calibration.simulate import SimulatedSetting, simulate
from tokenexit.calibration.trying import Search
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.promises import Seen

RUNS = 6
"""Real runs per family that is verified."""


@dataclass(frozen=True)
class Entrant:
    """A family that was simulated.

    Attributes:
        family: The policy.
        outcomes: Its settings, from strict to loose.
        place: The last that keeps the target, as ``_ordered`` counts.
        worth: How good that one is.
    """

    family: Policy
    outcomes: Sequence[SimulatedSetting]
    place: int
    worth: float


def search_by_table(search: Search, families: Sequence[Policy]) -> list[Candidate]:
    """Simulate families and run the best; all that was simulated is returned."""
    simulated = _simulated(search, families)
    for entrant in _promising(search, simulated):
        find_last(
            _ordered(search, entrant.outcomes),
            entrant.place,
            lambda value, family=entrant.family: search.run(family.with_threshold(value)).keeps,
        )
    return _settings(simulated)


def _simulated(search: Search, families: Sequence[Policy]) -> list[Entrant]:
    """Settings of families; by the clock, of the best asked less often and of fixed layers."""
    settings = search.work.model.settings
    table = search.work.table(gold=True)

    def entrants(policies: Sequence[Policy]) -> list[Entrant]:
        told = (search.config.grid, settings.task, settings.metric, search.clock)
        found = zip(policies, simulate(table, policies, *told), strict=True)
        return [_entrant(search, *one) for one in found]

    found = entrants(families)
    if search.clock is None:
        return found
    best = _promising(search, found)
    less = [p for e in best for p in asked_less(e.family, settings.exit_layers)]
    return found + entrants([*less, AssignedDepth()])


def _entrant(search: Search, family: Policy, found: Sequence[SimulatedSetting]) -> Entrant:
    goal = search.goal
    ordered = _ordered(search, found)
    seen = [Seen(kept=goal.share(o.quality), saved=o.depth_speedup, ms=o.ms) for o in ordered]
    keeps = [goal.foretells(one) for one in seen]
    place = max((n for n, good in enumerate(keeps) if good), default=0)
    one = ordered[place]
    worth = goal.worth(one.quality, one.depth_speedup, None, one.ms)
    return Entrant(family, found, place, worth if keeps[place] else float("-inf"))


def _ordered(search: Search, outcomes: Sequence[SimulatedSetting]) -> Sequence[SimulatedSetting]:
    """Settings that keep the target before those that break it."""
    return outcomes if search.goal.strict_first else outcomes[::-1]


def _promising(search: Search, entrants: Sequence[Entrant]) -> list[Entrant]:
    """The best families, and fixed layers where they are tried by the clock."""
    by_worth = sorted(entrants, key=lambda entrant: -entrant.worth)
    if search.clock is None:
        return by_worth[: search.config.verify]
    fixed = [e for e in by_worth if isinstance(e.family, AssignedDepth)]
    others = [e for e in by_worth if not isinstance(e.family, AssignedDepth)]
    return [*others[: search.config.verify], *fixed]


def find_last(
    outcomes: Sequence[SimulatedSetting], start: int, keeps: Callable[[float], bool]
) -> None:
    """Real runs towards the last setting that keeps the promise: gallop, then bisect.

    Args:
        outcomes: Settings, those that keep the promise before those that break it.
        start: Where the simulation puts the last one.
        keeps: Runs one setting.
    """
    good, bad = -1, len(outcomes)
    place, stride = start, 1
    for _ in range(RUNS):
        if keeps(outcomes[place].value):
            good, following = place, place + stride
        else:
            bad, following = place, place - stride
        if bad - good <= 1:
            return
        stride *= 2
        place = following if good < following < bad else (good + bad) // 2


def _settings(entrants: Sequence[Entrant]) -> list[Candidate]:
    return [
        Candidate(
            entrant.family.with_threshold(one.value).to_config(),
            one.quality,
            one.depth_speedup,
            ms_foretold=one.ms,
        )
        for entrant in entrants
        for one in entrant.outcomes
    ]
