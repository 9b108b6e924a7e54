"""Which settings are tested, and in which order: fixed on texts that test nothing.

Of all families' settings those are kept that no cheaper one equals on the choosing texts; they are
tested from the safest to the cheapest (Pareto testing, Laufer-Goldshtein et al. 2023). On texts
that a model learned from, rather loose exits lose nothing yet, so that stricter settings of the
same family come first. A list that does not suit the testing texts costs savings, never the
promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tokenexit.calibration.counted import counted_rows
from tokenexit.calibration.simulate import grid
from tokenexit.calibration.workload import Workload
from tokenexit.guarantees import Guarantee
from tokenexit.guarantees.groups import groups_of
from tokenexit.guarantees.losses import Columns
from tokenexit.policies import Policy
from tokenexit.policies.never import Never

MOST = 16
"""Settings that are tested at most: each is a real run."""

LEAD = 5
"""Of these, settings that are stricter than the safest on the choosing texts."""

RUNS = 8
"""Settings of each family, where each is a real run on the choosing texts."""

ROOM = 1.5
"""Settings that lose up to so many times what is allowed, on the choosing texts, are listed."""


@dataclass(frozen=True)
class Listed:
    """A setting on the choosing texts.

    Attributes:
        policy: The setting.
        safety: Least mean of what promises count, over what full depth has; below 0 where one is
            broken on these texts.
        cost: Share of the layers that it takes.
        family: Number of the family that it is of.
    """

    policy: Policy
    safety: float
    cost: float
    family: int = 0


def candidate_list(
    work: Workload,
    families: Sequence[Policy],
    guarantees: Sequence[Guarantee],
    settings: int,
    seen: Outcomes | None = None,
) -> list[Policy]:
    """Settings to test, the safest first.

    Args:
        work: The model and the choosing texts.
        families: Policies with a threshold.
        guarantees: What has to hold.
        settings: Of each family's threshold.
        seen: What settings give on these texts, where it is known.
    """
    seen = seen or (by_simulation(work) if work.simulated else by_runs(work))
    tried: list[Listed] = []
    for number, family in enumerate(families):
        own = settings_of(work, [family], settings)
        while own:
            tried.append(replace(listed(own.pop(), guarantees, seen), family=number))
            # Runs cost: from each family's loose end until nothing more is lost.
            if not work.simulated and (tried[-1].safety >= 1 or tried[-1].cost >= 1):
                break
        tried += unseen(own, tried[-1])
    best = frontier(tried)
    first = lead(tried, best)
    return [one.policy for one in [*first, *thinned(best, MOST - len(first))]]


def unseen(stricter: Sequence[Policy], last: Listed) -> list[Listed]:
    """Settings stricter than one that loses nothing: their cost is between that and all layers."""
    if last.cost >= 1:
        return []
    steps = [(place + 1) / (len(stricter) + 1) for place in range(len(stricter))]
    costs = [1 - (1 - last.cost) * step for step in steps]
    told = zip(stricter, costs, strict=True)
    return [Listed(policy, -np.inf, cost, last.family) for policy, cost in told]


def lead(tried: Sequence[Listed], best: Sequence[Listed]) -> list[Listed]:
    """Stricter settings of the family that a list begins with, the strictest first."""
    own = [one for one in tried for begin in best[:1] if one.family == begin.family]
    stricter = [one for one in own if best[0].cost < one.cost < 1]
    return _spread(sorted(stricter, key=lambda one: -one.cost), LEAD)


def settings_of(work: Workload, families: Sequence[Policy], settings: int) -> list[Policy]:
    """Settings that are tried, of each family from strict to loose; fewer where each is a run."""
    values = grid if work.simulated else _evenly
    return [one.with_threshold(value) for one in families for value in values(one, settings)]


def _evenly(family: Policy, settings: int) -> list[float]:
    """A few values; probabilities, too, evenly: margins of generators may be far from one."""
    spec, count = family.threshold_spec(), min(settings, RUNS)
    assert spec is not None
    spec = replace(spec, near_one=False)
    values = [spec.value(n / count) for n in range(1, count + 1)]  # at the strict end nobody leaves
    return [float(round(v)) if spec.integer else float(f"{v:.4g}") for v in values]


@dataclass(frozen=True)
class Outcomes:
    """What settings give on some texts.

    Attributes:
        full: What is counted at full depth.
        at: What is counted with a setting.
    """

    full: Columns
    at: Callable[[Policy], Columns]


def by_simulation(work: Workload) -> Outcomes:
    """From one full-depth pass: nearly what a run gives, as nobody is a neighbour who has left."""
    table = work.table(gold=work.labelled)
    mine, words = table.mine, _Words(table.text[table.mine], table.gold.numpy()[table.mine])
    deep = table.said(table.logits[-1])[mine]

    def counted(layers: np.ndarray, said: np.ndarray) -> Columns:
        return counted_rows(
            work.model, work.split, words, said[mine], layers[mine], deep, table.num_layers,
            table.log_probs_at(layers)[mine],
        )  # fmt: skip

    top = np.full(len(mine), table.exit_layers[-1])
    full = counted(top, table.said(table.logits[-1]))
    return Outcomes(full, lambda policy: counted(*table.simulate(policy)))


def by_runs(work: Workload) -> Outcomes:
    """By the engine."""
    deep = work.trace(Never())
    full = work.counted(deep, deep)
    return Outcomes(full, lambda policy: work.counted(work.trace(policy), deep))


def listed(policy: Policy, guarantees: Sequence[Guarantee], seen: Outcomes) -> Listed:
    """A setting on the choosing texts."""
    exits = seen.at(policy)
    cost = float(exits["layers"].sum()) / max(float(exits["deep"].sum()), 1.0)
    return Listed(policy, safety(guarantees, exits, seen.full), cost)


def frontier(tried: Sequence[Listed]) -> list[Listed]:
    """Those that no setting of at most their cost equals in safety, from safest to cheapest."""
    kept: list[Listed] = []
    for one in sorted(tried, key=lambda one: (one.cost, -one.safety)):
        if one.cost < 1 and (not kept or one.safety > kept[-1].safety):
            kept.append(one)
    return kept[::-1]


def thinned(listed: Sequence[Listed], most: int = MOST) -> list[Listed]:
    """So many of them at most, evenly by cost; hopeless ones are left out first."""
    hopeful = [one for one in listed if one.safety >= -ROOM] or list(listed[:1])
    return _spread(hopeful, most)


def _spread(listed: Sequence[Listed], most: int) -> list[Listed]:
    """So many at most, evenly by cost."""
    if len(listed) <= most:
        return list(listed)
    costs = np.array([one.cost for one in listed])
    wanted = np.linspace(costs[0], costs[-1], most)
    places = sorted({int(np.abs(costs - cost).argmin()) for cost in wanted})
    return [listed[place] for place in places]


def safety(guarantees: Sequence[Guarantee], exits: Columns, full: Columns) -> float:
    """The least mean over promises and groups, in units of what full depth has to spare."""
    found = []
    for guarantee in guarantees:
        made, spare = (
            guarantee.kind.terms(columns, full, guarantee.allowed).settled()
            for columns in (exits, full)
        )
        for texts in groups_of(guarantee.every, full).values():
            if len(texts):
                room = max(abs(float(spare.middle[texts].mean())), 1e-12)
                found.append(float(made.middle[texts].mean()) / room)
    return min(found, default=0.0)


@dataclass(frozen=True)
class _Words:
    text: np.ndarray
    gold: np.ndarray
