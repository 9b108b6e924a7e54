"""Choose the loosest setting whose promise holds for unseen texts; every decision is a real run.

Simulation ignores that states change once neighbours halt, so what is promised rests on runs of
the engine alone. With several families, one half of the texts, drawn at random, chooses the
family, by simulation where there is a table; the other half tests it. So the test knows nothing
of the choice, and no part of ``delta`` is spent on it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.conformal import conformal_setting, disagreeing, worst_scores
from tokenexit.calibration.dealing import documents_of, halves
from tokenexit.calibration.risk import Losses, RiskControl, text_losses
from tokenexit.calibration.simulate import grid
from tokenexit.calibration.workload import Workload
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.processes import is_main
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.tasks import labelled_task

logger = logging.getLogger(__name__)

Measure = Callable[[float], tuple[Result, Losses]]
"""Runs a family at one setting."""

MeasureOf = Callable[[Policy, float], tuple[Result, Losses]]
"""Runs any family at one setting."""

WITHOUT_LABELS = "full depth's own predictions: the texts were read without labels"


@dataclass(frozen=True)
class Certified:
    """What was chosen, and on what grounds.

    Attributes:
        best: Figures of the choice; of full depth where no setting keeps the promise.
        full: Figures of full depth in the precision that will run.
        runs: Figures of all settings that were run, from strict to loose.
        reached: Whether any setting keeps the promise.
        promise: What is promised, the bound and what it was computed from, as plain data.
        evidence: What was counted of each text; None of promises without a certificate.
        why: Why no setting does, in words.
    """

    best: Result
    full: Result
    runs: list[Result]
    reached: bool
    promise: dict[str, Any]
    evidence: Evidence | None = None
    why: str = ""


def certify(
    work: Workload,
    families: Sequence[Policy],
    promise: RiskControl,
    *,
    min_quality: float | None = None,
    settings: int = 32,
    design: Any = None,
) -> Certified:
    """Choose a setting of one of the families.

    Args:
        work: The model and texts that it was not trained on; right answers are not needed.
        families: Policies with a threshold.
        promise: What has to hold.
        min_quality: Share of full-depth quality to keep on these texts as well; needs answers.
        settings: Of a family's threshold.
        design: Further texts that choose the family, in place of a half of those. They may have
            served for choosing before, such as the epoch; the texts of ``work`` must not.
    """
    tested = work
    if design is None:
        chosen, rest = halves(len(work.split), len(families), documents_of(work.split))
        design, tested = work.split.take(chosen), work.on(work.split.take(rest))
    family = families[0]
    if len(design) and len(families) > 1:
        family = _best(work.on(design), families, promise, settings)
    full, measure = _runner(tested, promise)
    found = None
    if work.simulated and min_quality is None and documents_of(tested.split) is None:
        found = _conformal(tested, family, promise, measure, full)
    if found is None and promise.among != "all":
        raise UserError(
            "calibrate.risk_among=disagreeing was promised by none of the thresholds: it needs a "
            "classifier of texts, a policy of one score and a threshold, and about "
            f"{promise.needed} texts at which some exit disagrees with the top. Calibrate on more "
            "texts, or use calibrate.risk_among=all."
        )
    if found is None:
        values = grid(family, settings)
        given = partial(measure, family)
        found = run_until_failure(promise, values, given, full, min_quality, set_aside=len(design))
    facts = {"family_chosen_on": len(design), "labelled": work.labelled}
    if documents_of(tested.split) is not None:
        facts |= {"unit": "documents"}
    best = found.best
    if not work.labelled:
        best = replace(best, notes={**best.notes, "gold": WITHOUT_LABELS})
    return replace(found, best=best, promise={**found.promise, **facts})


def _runner(work: Workload, promise: RiskControl) -> tuple[Result, MeasureOf]:
    """Figures of full depth, and what runs a family at a setting of its threshold."""
    with in_full_precision(work.model):
        work = work if work.labelled else work.answered()
        reference = work.evaluate(Never())
    full, deep = reference
    if is_reduced(work.model):
        full, _ = work.evaluate(Never(), reference)

    documents = documents_of(work.split)

    def measure(family: Policy, value: float) -> tuple[Result, Losses]:
        result, trace = work.evaluate(family.with_threshold(value), reference)
        losses = work.losses(trace, deep, promise.of)
        return result, losses if documents is None else of_documents(losses, documents, promise)

    return full, measure


def run_until_failure(
    promise: RiskControl,
    values: Sequence[float],
    measure: Measure,
    full: Result,
    min_quality: float | None = None,
    set_aside: int = 0,
) -> Certified:
    """Run settings from strict to loose until one fails, and take the last that did not.

    Args:
        promise: What has to hold.
        values: Settings, from strict to loose.
        measure: Runs one.
        full: Figures of full depth, which keeps every promise.
        min_quality: Share of its quality to keep as well. A setting stricter than the last that
            keeps the promise keeps it too, so that choosing among them breaks nothing.
        set_aside: Texts of the same split that chose before, for messages.
    """
    runs: list[tuple[Result, Losses]] = []

    def one_by_one() -> Any:
        for value in values:
            runs.append(measure(value))
            yield runs[-1][1]

    kept = place = promise.last(one_by_one())
    if min_quality is not None:
        while place and runs[place - 1][0].relative_quality < min_quality:
            place -= 1
    losses = [losses for _, losses in runs[:place]] or [np.zeros(full.n_sentences)]
    if not place and is_main():
        why = f"None of the {kept} settings that keep the promise keeps the quality"
        if not kept:
            why = f"No setting keeps the promise on {needs(promise, full.n_sentences, set_aside)}"
        logger.warning("%s (%s). The model stays at full depth.", why, promise.words)
    return Certified(
        best=runs[place - 1][0] if place else full,
        full=full,
        runs=[result for result, _ in runs],
        reached=place > 0,
        promise=statement(promise, losses, len(runs)),
    )


def of_documents(losses: Losses, documents: NDArray[np.int64], promise: RiskControl) -> Losses:
    """What documents lose: on average the mean of their texts, else all if one text is lost.

    Args:
        losses: Of the texts, ``[n]``.
        documents: Number of each text's document, from 0, ``[n]``.
        promise: What is promised.
    """
    if promise.delta is None:
        mean: Losses = np.bincount(documents, losses) / np.bincount(documents)
        return mean
    most = np.zeros(documents.max(initial=-1) + 1)
    np.maximum.at(most, documents, losses)
    return most


def needs(promise: RiskControl, texts: int, set_aside: int) -> str:
    """The texts that tested a promise, and how many it takes, in words.

    Args:
        promise: What was tested.
        texts: On which.
        set_aside: Others of the same split, as many or one less, that chose among families.
    """
    told = f"{texts} texts, which takes {promise.needed} or more even if none of them differs"
    if set_aside:
        told = (
            f"{told}; {set_aside} others chose what was tested, so the split needs "
            f"{2 * promise.needed - 1} or more"
        )
    return told


def statement(promise: RiskControl, settings: Sequence[Losses], runs: int) -> dict[str, Any]:
    """The promise and what it rests on, as plain data.

    Args:
        promise: What was promised.
        settings: Losses of the texts, from the strictest setting to the one that was chosen.
        runs: Settings that were run.
    """
    losses = settings[-1]
    counted = losses if promise.delta is not None else np.maximum.reduce(settings)
    return {
        "promise": promise.words,
        **promise.to_json(),
        "n": len(losses),
        "texts_changed": int(np.count_nonzero(losses)),
        "loss": float(losses.mean()) if len(losses) else 0.0,
        # What the same test would have accepted at this setting; the promise is ``risk``.
        "bound": promise.bound(counted),
        "settings_run": runs,
    }


def _conformal(
    work: Workload,
    family: Policy,
    promise: RiskControl,
    measure: MeasureOf,
    full: Result,
) -> Certified | None:
    """CAT's threshold, which no grid limits, if a real run bears out the table.

    Texts that are rows of their own have an exact table, up to rounding.
    """
    task = labelled_task(work.model.settings.task)
    if not (task.whole and task.countable):
        return None
    if promise.delta is not None or not isinstance(family, ThresholdPolicy):
        return None
    table, texts = work.table(), len(work.split)
    worst = worst_scores(table, family, texts)
    if promise.among == "disagreeing":
        worst = disagreeing(worst)
    value = conformal_setting(worst, family, promise.risk)
    if value is None:
        return None
    result, losses = measure(family, value)
    _, foretold = table.simulate(family.with_threshold(value))
    deep = table.said(table.logits[-1])
    expected = text_losses(foretold != deep, table.text, texts)
    if not (promise.keeps(losses) and np.array_equal(losses, expected)):
        return None
    found = run_until_failure(promise, [value], lambda _: (result, losses), full)
    method = "conformal threshold (CAT)"
    return replace(found, promise={**found.promise, "method": method})


def _best(
    work: Workload, families: Sequence[Policy], promise: RiskControl, settings: int
) -> Policy:
    """The family that would save most: by simulation where there is one, else by real runs."""
    if work.simulated:
        table = work.table()
        texts = len(work.split)
        return max(families, key=lambda f: _saving(table, f, promise, settings, texts))
    _, measure = _runner(work, promise)
    return min(families, key=lambda f: _cost(measure, f, promise, settings))


def _cost(
    measure: MeasureOf,
    family: Policy,
    promise: RiskControl,
    settings: int,
) -> float:
    """Multiply-accumulates at about the last setting that keeps the promise, found by halving."""
    values = grid(family, settings)
    low, high, cost = 0, len(values), float("inf")
    while low < high:
        middle = (low + high) // 2
        result, losses = measure(family, values[middle])
        if promise.keeps(losses):
            low, cost = middle + 1, min(cost, result.mac_ratio)
        else:
            high = middle
    return cost


def _saving(
    table: ExitTable, family: Policy, promise: RiskControl, settings: int, texts: int
) -> float:
    """Depth over mean exit layer at the last setting that keeps the promise; 0 if none does."""
    top = table.said(table.logits[-1])
    means: list[float] = []

    def one_by_one() -> Any:
        for value in grid(family, settings):
            layers, prediction = table.simulate(family.with_threshold(value))
            means.append(float(layers[table.mine].mean()) if table.mine.any() else 1.0)
            differs = (prediction != top) & table.mine
            yield text_losses(differs, table.text, texts, promise.of)

    kept = promise.last(one_by_one())
    return table.num_layers / means[kept - 1] if kept else 0.0
