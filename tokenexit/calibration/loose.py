"""What holds on the texts of a calibration alone: a target, and no promise about others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenexit.calibration.dealing import documents_of
from tokenexit.calibration.workload import Run, Workload
from tokenexit.evaluation.evaluate import Result
from tokenexit.guarantees import FixedSequence, Guarantee, order_of
from tokenexit.guarantees.guarantee import USUAL_DELTA
from tokenexit.policies import Policy
from tokenexit.policies.never import Never


@dataclass(frozen=True)
class Target:
    """What is asked of a setting on the texts of the calibration themselves.

    Attributes:
        keeps: Whether a run is as asked.
        worth: How good it is then: more is better.
    """

    keeps: Callable[[Result], bool]
    worth: Callable[[Result], float]

    def best(self, runs: Sequence[Result]) -> int:
        """Place of the best run that is as asked, from 1; 0 where none is."""
        good = [place for place, one in enumerate(runs, 1) if self.keeps(one)]
        return max(good, key=lambda place: self.worth(runs[place - 1]), default=0)


def loosest(
    settings: Sequence[Policy],
    runs: Sequence[Result],
    keeps: Callable[[Result], bool],
    run: Callable[[Policy], Result],
) -> Result | None:
    """The last setting that is as asked, found by halving; None where none is.

    Args:
        settings: From the safest to the cheapest.
        runs: Of the first of them, as far as they were run.
        keeps: Whether one is as asked.
        run: Runs one.
    """
    good = next((n for n in range(len(runs), 0, -1) if keeps(runs[n - 1])), 0)
    found = runs[good - 1] if good else None
    low, high = good, len(settings) + 1 if good == len(runs) else good + 1
    while high - low > 1:
        middle = (low + high) // 2
        result = run(settings[middle - 1])
        if keeps(result):
            low, found = middle, result
        else:
            high = middle
    return found


def target_met(result: Result) -> dict[str, Any]:
    """What a setting keeps and saves on the texts that it was chosen on, as plain data."""
    names = ("policy", "relative_quality", "depth_speedup", "mac_ratio")
    return {name: getattr(result, name) for name in names}


def could_be_promised(
    work: Workload, policy: Policy, full: Run, delta: float | None = None
) -> dict[str, Any] | None:
    """The share of quality that could be promised of a setting, had it been fixed before.

    Args:
        work: The model and the texts that chose the setting.
        policy: The setting.
        full: The texts at full depth in float32.
        delta: Probability with which such a promise may be broken; the usual one when None.

    Returns:
        ``loss``, ``at_least``, None where no share can be, ``delta``, and ``documents`` where these
        count; None where the task has no such promise.
    """
    loss, delta = work.kept, delta or USUAL_DELTA
    if loss is None or not work.labelled or policy == Never():
        return None
    deep, exits = work.counted(full[1], full[1]), work.counted(work.trace(policy), full[1])
    order, documents = order_of(work.split.keys()), documents_of(work.split)

    def sequence(share: float) -> FixedSequence:
        return FixedSequence([Guarantee(loss, share, delta)], deep, order, documents)

    def passes(share: float) -> bool:
        return all(row.passed for row in sequence(share).test(exits))

    low, high = 0, 1000  # in tenths of a percent
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle / 1000) else (low, middle)
    told = {"loss": loss, "at_least": low / 1000 or None, "delta": delta}
    return told if documents is None else {**told, "documents": sequence(0.5).units}
