"""What a run consists of for the clock: operations, and on how many rows each of them ran."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from tokenexit.evaluation.curve import family_name
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.every_kth import EveryKth
from tokenexit.policies.from_layer import FromLayer
from tokenexit.policies.never import Never

Counts = dict[str, NDArray[np.float64]]
"""For each operation the rows of every time it ran, by name:

``batch`` (``source`` of a generator): a batch begins, of so many tokens; ``step``: one more token
of so many sequences; ``layer`` (``model N`` of a cascade): it runs; ``head``: a head scores rows
that leave; ``split``: some rows leave an exit and others stay; ``ask KIND``: a policy is asked
about rows, what it reads of them included, and ``left KIND``: rows that leave there.
"""

ASK, LEFT = "ask ", "left "


def kind_of(policy: Policy) -> str | None:
    """What is asked at an exit, whatever the threshold and wherever it is; None for nothing."""
    if isinstance(policy, EveryKth | FromLayer):
        return kind_of(policy.policy)
    return None if isinstance(policy, Never | AssignedDepth) else family_name(policy)


def asked_at(policy: Policy, layers: Sequence[int]) -> tuple[int, ...]:
    """The exits below the top at which a policy is asked, of those that there are."""
    if isinstance(policy, EveryKth):
        return tuple(n for n in asked_at(policy.policy, layers) if n % policy.k == 0)
    if isinstance(policy, FromLayer):
        return tuple(n for n in asked_at(policy.policy, layers) if n >= policy.layer)
    return () if kind_of(policy) is None else tuple(layers)


def resolved(counts: Counts, scoring: Collection[str]) -> Counts:
    """Heads score those that leave where a policy was asked, unless they scored them for it.

    Args:
        counts: Of a run.
        scoring: Kinds of question for which heads score all that are asked about.
    """
    heads = [rows for name, rows in counts.items() if name == "head" or _unscored(name, scoring)]
    found = {name: rows for name, rows in counts.items() if not name.startswith(LEFT)}
    return found | ({"head": np.concatenate(heads)} if heads else {})


def _unscored(name: str, scoring: Collection[str]) -> bool:
    return name.startswith(LEFT) and name.removeprefix(LEFT) not in scoring


def joined(parts: Sequence[Counts]) -> Counts:
    """Several runs as one."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in names}


def effective(active: NDArray, attended: NDArray, share: float) -> NDArray[np.float64]:
    """Rows of whole layers that cost as much as some rows and others that are only read.

    Args:
        active: Rows that go through a layer.
        attended: Rows whose keys and values it makes.
        share: Of keys and values in a layer's products.
    """
    return active * (1.0 - share) + attended * share
