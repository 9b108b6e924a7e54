"""Runs that are timed to learn what operations cost: few seconds, from few rows to many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.calibration.clock.cost_model import CostModel, fit
from tokenexit.calibration.clock.counts import Counts, kind_of, resolved
from tokenexit.calibration.clock.stopwatch import Stopwatch, stopwatch
from tokenexit.calibration.clock.timed import Timed
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.never import Never

SECONDS = 10.0
"""What learning the costs may take, once every run was timed twice."""
FEWEST = 4
"""Batches that are always timed: the ends, and next to them."""
MOST = 8
"""Times that a run is repeated at most."""
STRICT, MIDDLE, LOOSE = 0.02, 0.5, 1.0
"""Places of a threshold: (almost) nobody leaves, some do, all do at once."""


def learn(
    timed: Timed,
    families: Sequence[Policy],
    *,
    conditions: Mapping[str, Any] | None = None,
    watch: Stopwatch = stopwatch,
) -> CostModel:
    """Measure what a model's operations cost on this machine.

    At every number of texts: full depth and the first exit, which differ by layers alone; and of
    every kind of question a strict setting, where nobody leaves, and a middle one. Each
    run's time is its shortest. Where all that takes long, sizes between the ends are left out.

    Args:
        timed: The model.
        families: Policies whose questions will be asked.
        conditions: Where the costs hold, to be kept with them.
        watch: Measures.
    """
    policies = _policies(timed, families)
    scoring: dict[str, bool] = {}
    counted: list[Counts] = []
    shortest: list[float] = []
    runs: list[tuple[Any, Policy]] = []
    spent = 0.0
    for number, batches in enumerate(_most_telling_first(timed.probes())):
        if number >= FEWEST and spent > SECONDS:
            break
        for policy in policies:
            # The first call of a kind may make what later ones use.
            warm, _ = watch(lambda b=batches, p=policy: timed.probe(b, p), timed.device)
            taken, done = watch(lambda b=batches, p=policy: timed.probe(b, p), timed.device)
            spent += warm + taken
            runs.append((batches, policy))
            shortest.append(min(warm, taken))
            counted.append(timed.counts(batches, policy, timed.exits(done)))
            kind = kind_of(policy)
            if kind is not None:
                scoring[kind] = scoring.get(kind, False) or timed.scores(done)
    for number in range(MOST * len(runs)):
        if spent >= SECONDS:
            break
        place = number % len(runs)
        batches, policy = runs[place]
        taken, _ = watch(lambda b=batches, p=policy: timed.probe(b, p), timed.device)
        spent += taken
        shortest[place] = min(shortest[place], taken)
    known = tuple(kind for kind, scores in scoring.items() if scores)
    learned = [resolved(counts, known) for counts in counted]
    costs, error = fit(list(zip(learned, shortest, strict=True)))
    return CostModel(costs, known, dict(conditions or {}), error, spent, len(runs))


def _most_telling_first(probes: Sequence[Any]) -> list[Any]:
    """From both ends to the middle, the large end first: it is what will run."""
    left = list(probes)
    return [left.pop(-1 if number % 2 == 0 else 0) for number in range(len(left))]


def _policies(timed: Timed, families: Sequence[Policy]) -> list[Policy]:
    found: list[Policy] = [Never(), AssignedDepth(timed.exit_layers[0])]
    kinds = {kind_of(family): family for family in families}
    for kind, family in kinds.items():
        spec = family.threshold_spec()
        if kind is not None and spec is not None:
            # A loose one tells heads from questions; once is enough.
            places = (STRICT, MIDDLE, LOOSE) if len(found) == 2 else (STRICT, MIDDLE)
            found += [family.with_threshold(spec.value(place)) for place in places]
    return found
