"""Real texts whose outcome at full depth and at each setting is known, for ``promises.py``.

They are what a run gives on its validation and test texts: on the table of one full-depth pass
(``--engine`` runs every setting that is tested), and of generators by real runs. Which settings a
promise tests, in which order, is fixed by training texts, as ``tokenexit calibrate`` does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tokenexit.calibration.candidate_list import (
    Outcomes,
    by_runs,
    by_simulation,
    candidate_list,
    settings_of,
)
from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.certificate.trace import read_trace, save_trace
from tokenexit.errors import UserError
from tokenexit.guarantees import parse
from tokenexit.guarantees.order import text_hash
from tokenexit.policies import Policy, from_config

Columns = Mapping[str, Any]
SPLITS = ("validation", "test")


@dataclass
class Population:
    """Texts whose outcome at full depth and at each setting is known.

    Args:
        full: Columns at full depth.
        settings: Columns at each setting, in any order.
        names: What each setting is.
        lists: Settings that a promise tests, the safest first, by the promise; for promises that
            are not among them texts of the population make the list.
    """

    full: Columns
    settings: Sequence[Columns]
    names: Sequence[str] = ()
    lists: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many texts."""
        return len(self.full["rows"])


def take(columns: Columns, texts: np.ndarray) -> Columns:
    """Of some texts."""
    return {
        name: values[texts] if isinstance(values, np.ndarray) else [values[n] for n in texts]
        for name, values in columns.items()
    }


def of_run(
    run: str,
    data: str,
    asked: Sequence[str],
    *,
    engine: bool,
    grid: int,
    limit: int,
    known: int,
    lang: str,
    families: Sequence[str] = (),
) -> tuple[Evidence, dict[str, list[int]]]:
    """What a run gives on texts it was not trained on, and the list of each promise.

    Args:
        run: Its folder.
        data: Its data set.
        asked: Promises.
        engine: Whether settings are run; else only those of generators are.
        grid: Settings of each family that are known.
        limit: Training texts that make the lists.
        known: Texts of each of the two splits, if there are as many.
        lang: Direction of a translation, or nothing.
        families: Policies whose thresholds are turned; the usual ones where there are none.
    """
    from tokenexit.calibration.open import workload_of
    from tokenexit.calibration.sampling import sample
    from tokenexit.workflows.commands import open_model

    opened = open_model(run)
    told = {"lang": lang} if lang else {}
    parts = [sample(opened.split(data, name, True, **told), known) for name in SPLITS]
    works = [workload_of(opened.model, part, "both", 32) for part in parts]
    design = workload_of(opened.model, sample(opened.split(data, "train", True, **told), limit),
                         "train", 32)  # fmt: skip
    turned = [from_config(one) for one in families] or works[0].families(by_clock=False)
    simulated = works[0].simulated and not engine
    outcomes = [by_simulation(work) if simulated else by_runs(work) for work in works]
    choosing = _remembering(by_simulation(design) if design.simulated else by_runs(design))
    lists = {}
    for text in asked:
        lists[text] = candidate_list(design, turned, parse(text), grid, seen=choosing)
        print(f"  {text}: {len(lists[text])} settings", file=sys.stderr, flush=True)
    policies = [one for listed in lists.values() for one in listed]
    if simulated or not works[0].simulated:
        policies += settings_of(works[0], turned, grid)
    policies = list(dict.fromkeys(policies))
    settings = []
    for policy in policies:
        settings.append(_joined([one.at(policy) for one in outcomes]))
        saved = settings[-1]["deep"].sum() / settings[-1]["layers"].sum()
        print(f"  {policy}: {saved:.2f}x", file=sys.stderr, flush=True)
    evidence = Evidence(
        tuple(one for text in asked for one in parse(text)),
        [text_hash(key) for part in parts for key in part.keys()],  # noqa: SIM118
        _joined([one.full for one in outcomes]),
        [policy.to_config() for policy in policies],
        settings,
    )
    return evidence, {
        text: [policies.index(one) for one in listed] for text, listed in lists.items()
    }


def save(path: Path, evidence: Evidence, lists: Mapping[str, Sequence[int]]) -> None:
    """Write what ``read`` reads: a parquet file, and the lists beside it."""
    save_trace(evidence, path)
    path.with_suffix(".json").write_text(json.dumps(lists), encoding="utf-8")


def read(path: Path) -> Population:
    """A population that was saved."""
    if not path.is_file():
        raise UserError(f"{path} is not there; make it with --run and --data.")
    evidence = read_trace(path)
    lists = json.loads(path.with_suffix(".json").read_text("utf-8"))
    names = [str(from_config(policy)) for policy in evidence.policies]
    return Population(evidence.full, evidence.settings, names, lists)


def _joined(parts: Sequence[Columns]) -> dict[str, Any]:
    return {
        name: np.concatenate([part[name] for part in parts])
        if isinstance(values, np.ndarray) else [one for part in parts for one in part[name]]
        for name, values in parts[0].items()
    }  # fmt: skip


def _remembering(seen: Outcomes) -> Outcomes:
    """The same, asked once for each setting."""
    held: dict[Policy, Columns] = {}
    at: Callable[[Policy], Columns] = seen.at

    def once(policy: Policy) -> Columns:
        if policy not in held:
            held[policy] = at(policy)
        return held[policy]

    return Outcomes(seen.full, once)
