"""Which settings are tested, and in which order: fixed on texts that test nothing.

Of all families' settings those are kept that no cheaper one equals on the choosing texts; they are
tested from the safest to the cheapest (Pareto testing, Laufer-Goldshtein et al. 2023). A list that
does not suit the testing texts costs savings, never the promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    policy: Policy
    safety: float
    cost: float


def candidate_list(
    work: Workload, families: Sequence[Policy], guarantees: Sequence[Guarantee], settings: int
) -> list[Policy]:
    """Settings to test, the safest first.

    Args:
        work: The model and the choosing texts.
        families: Policies with a threshold.
        guarantees: What has to hold.
        settings: Of each family's threshold.
    """
    tried = (_simulated if work.simulated else _run)(work, families, guarantees, settings)
    return [one.policy for one in thinned(frontier(tried))]


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
    if len(hopeful) <= most:
        return hopeful
    costs = np.array([one.cost for one in hopeful])
    wanted = np.linspace(costs[0], costs[-1], most)
    places = sorted({int(np.abs(costs - cost).argmin()) for cost in wanted})
    return [hopeful[place] for place in places]


def safety(guarantees: Sequence[Guarantee], exits: Columns, full: Columns) -> float:
    """The least mean over promises and groups, in units of what full depth has to spare."""
    found = []
    for guarantee in guarantees:
        made, spare = (guarantee.kind.terms(c, full, guarantee.allowed) for c in (exits, full))
        for texts in groups_of(guarantee.every, full).values():
            if len(texts):
                room = max(abs(float(spare.middle[texts].mean())), 1e-12)
                found.append(float(made.middle[texts].mean()) / room)
    return min(found, default=0.0)


def _simulated(
    work: Workload, families: Sequence[Policy], guarantees: Sequence[Guarantee], settings: int
) -> list[Listed]:
    table = work.table(gold=work.labelled)
    mine, words = table.mine, _Words(table.text[table.mine], table.gold.numpy()[table.mine])
    deep = table.said(table.logits[-1])[mine]

    def counted(layers: np.ndarray, said: np.ndarray) -> Columns:
        return counted_rows(work.model, work.split, words, said, layers, deep, table.num_layers)

    full = counted(np.full(len(deep), table.num_layers), deep)
    found = []
    for family in families:
        for value in grid(family, settings):
            policy = family.with_threshold(value)
            layers, said = table.simulate(policy)
            kept = safety(guarantees, counted(layers[mine], said[mine]), full)
            found.append(Listed(policy, kept, float(layers[mine].mean()) / table.num_layers))
    return found


@dataclass(frozen=True)
class _Words:
    text: np.ndarray
    gold: np.ndarray


def _run(
    work: Workload, families: Sequence[Policy], guarantees: Sequence[Guarantee], settings: int
) -> list[Listed]:
    """By real runs: from each family's loose end, until nothing more is lost."""
    deep = work.trace(Never())
    full, found = work.counted(deep, deep), []
    for family in families:
        for value in reversed(grid(family, min(settings, 8))):
            policy = family.with_threshold(value)
            exits = work.counted(work.trace(policy), deep)
            kept = safety(guarantees, exits, full)
            cost = float(exits["layers"].sum()) / max(float(exits["deep"].sum()), 1.0)
            found.append(Listed(policy, kept, cost))
            if kept >= 1 or cost >= 1:
                break
    return found
