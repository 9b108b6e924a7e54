"""Families searched by real runs alone: the range of each one's threshold is halved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenexit.calibration.clock.open import timed_of
from tokenexit.calibration.found import Candidate
from tokenexit.calibration.sampling import sample
from tokenexit.calibration.trying import Search
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth

RUNS = 6
"""Settings of a family that are run: the range of its threshold is halved so often."""
FEWER = 4
"""By the clock, families are compared first on a part of the texts: one in so many of them."""
LEAST = 50
"""Texts of that part, if there are as many."""


def search_by_runs(search: Search, families: Sequence[Policy]) -> list[Candidate]:
    """Run settings of families; nothing is simulated, so that nothing is returned."""
    if search.clock is not None and len(families) > search.config.verify:
        families = _promising(search, families)
    for family in families:
        _bisect(search, family)
    if search.clock is not None:
        _fixed_layers(search)
    return []


def _bisect(search: Search, family: Policy) -> None:
    """Halve the range of a threshold: looser while the target holds, else stricter."""
    spec = family.threshold_spec()
    assert spec is not None
    # Probabilities, too, evenly: margins at which generators may leave are far from one.
    spec = replace(spec, near_one=False)
    strict, loose = 0.0, 1.0
    for _ in range(RUNS):
        middle = (strict + loose) / 2
        # Looser while the quality holds; stricter while the speed does.
        if search.run(family.with_threshold(spec.value(middle))).keeps == search.goal.strict_first:
            strict = middle
        else:
            loose = middle


def _promising(search: Search, families: Sequence[Policy]) -> list[Policy]:
    """The best families on a part of the texts, since there are many by the clock."""
    assert search.clock is not None
    work, split = search.work, search.work.split
    part = work.on(sample(split, max(len(split) // FEWER, min(len(split), LEAST))))
    timed = timed_of(work.model, part.inputs, work.batch_size)
    small = Search(part, search.config, replace(search.clock, timed=timed))
    small.goal = replace(search.goal, full=small.goal.full)
    worth: dict[int, float] = {}
    for number, family in enumerate(families):
        small.trials.clear()
        _bisect(small, family)
        good = [trial for trial in small.trials if trial.keeps]
        worth[number] = max((small.worth_of(t) for t in good), default=float("-inf"))
    best = sorted(worth, key=lambda number: -worth[number])[: search.config.verify]
    return [families[number] for number in best]


def _fixed_layers(search: Search) -> None:
    """Halve the exits: everybody leaves at one, the shallowest (or deepest) as asked."""
    layers = search.work.model.settings.exit_layers[:-1]
    low, high = 0, len(layers)  # those that keep quality lie high, those that save time low
    while low < high:
        middle = (low + high) // 2
        if search.run(AssignedDepth(layers[middle])).keeps == search.goal.strict_first:
            high = middle
        else:
            low = middle + 1
