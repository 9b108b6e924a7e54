"""Choose the loosest setting whose promise holds for unseen texts; every decision is a real run.

Simulation ignores that states change once neighbours halt, so what is promised rests on runs of
the engine alone. With several families, one half of the texts, drawn at random, chooses the
family, by simulation where there is a table; the other half tests it. So the test knows nothing
of the choice, and no part of ``delta`` is spent on it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tokenexit.calibration.conformal import conformal_setting, worst_scores
from tokenexit.calibration.risk import Losses, Promise, text_losses
from tokenexit.calibration.simulate import grid
from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.evaluate import Result, evaluate, trace_split
from tokenexit.evaluation.processes import is_main
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.tasks import labelled_task

logger = logging.getLogger(__name__)

Measure = Callable[[float], tuple[Result, Losses]]
"""Runs a family at one setting."""

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
    """

    best: Result
    full: Result
    runs: list[Result]
    reached: bool
    promise: dict[str, Any]


def certify(
    model: Labeller,
    split: TaggedSplit,
    families: Sequence[Policy],
    promise: Promise,
    *,
    min_quality: float | None = None,
    settings: int = 32,
    name: str = "validation",
    batch_size: int = 32,
    design: TaggedSplit | None = None,
) -> Certified:
    """Choose a setting of one of the families for a tagger or text classifier.

    Args:
        model: The model.
        split: Texts that the model was not trained on; labels are not needed.
        families: Policies with a knob.
        promise: What has to hold.
        min_quality: Share of full-depth quality to keep on these texts as well; needs labels.
        settings: Of a family's knob.
        name: Of the split.
        batch_size: Texts a batch.
        design: Further texts that choose the family, in place of a half of ``split``. They may
            have served for choosing before, such as the epoch; those of ``split`` must not.
    """
    texts = split
    if design is None:
        chosen, tested = halves(len(split), len(families))
        design, texts = split.take(chosen), split.take(tested)
    family = families[0]
    if len(design) and len(families) > 1:
        family = _best(model, design, families, promise, settings, batch_size)
    options: dict[str, Any] = {"batch_size": batch_size, "on_unknown": None}
    with in_full_precision(model):
        graded = texts if texts.tags is not None else _labelled(model, texts, batch_size)
        full, deep = evaluate(model, graded, name, Never(), **options)
    known = {"full_depth": full.quality, "full": deep}
    if is_reduced(model):
        full, _ = evaluate(model, graded, name, Never(), **known, **options)

    def measure(value: float) -> tuple[Result, Losses]:
        policy = family.at(value)
        result, trace = evaluate(model, graded, name, policy, **known, **options)
        differs = trace.prediction != deep.prediction
        return result, text_losses(differs, deep.text, len(texts), promise.of)

    found = None
    task = labelled_task(model.settings.task)
    if task.whole and task.countable and min_quality is None:
        found = _conformal(model, texts, family, promise, measure, full, batch_size)
    if found is None:
        values = grid(family, settings)
        found = walk(promise, values, measure, full, min_quality, set_aside=len(design))
    facts = {"family_chosen_on": len(design), "labelled": texts.tags is not None}
    best = found.best
    if texts.tags is None:
        best = replace(best, notes={**best.notes, "gold": WITHOUT_LABELS})
    return replace(found, best=best, promise={**found.promise, **facts})


def walk(
    promise: Promise,
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


def needs(promise: Promise, texts: int, set_aside: int) -> str:
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


def statement(promise: Promise, settings: Sequence[Losses], runs: int) -> dict[str, Any]:
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


def halves(count: int, families: int) -> tuple[list[int], list[int]]:
    """Texts that choose among families, and texts that test; nobody chooses among one.

    Args:
        count: Texts.
        families: Families.
    """
    if families == 1:
        return [], list(range(count))
    order = random.Random(0).sample(range(count), count)
    return sorted(order[: count // 2]), sorted(order[count // 2 :])


def _conformal(
    model: Labeller,
    texts: TaggedSplit,
    family: Policy,
    promise: Promise,
    measure: Measure,
    full: Result,
    batch_size: int,
) -> Certified | None:
    """CAT's threshold, which no grid limits, if a real run bears out the table.

    Texts are rows of their own, so for them the table is exact, up to rounding.
    """
    if promise.delta is not None or not isinstance(family, ThresholdPolicy):
        return None
    table = model.exit_table(texts.tokens, None, batch_size)
    value = conformal_setting(worst_scores(table, family, len(texts)), family, promise.risk)
    if value is None:
        return None
    result, losses = measure(value)
    _, foretold = table.simulate(family.at(value))
    deep = table.said(table.logits[-1])
    expected = text_losses(foretold != deep, table.text, len(texts))
    if not (promise.keeps(losses) and np.array_equal(losses, expected)):
        return None
    found = walk(promise, [value], lambda _: (result, losses), full)
    method = "conformal threshold (CAT)"
    return replace(found, promise={**found.promise, "method": method})


def _best(
    model: Labeller,
    split: TaggedSplit,
    families: Sequence[Policy],
    promise: Promise,
    settings: int,
    batch_size: int,
) -> Policy:
    """The family that would save most, by simulation."""
    table = model.exit_table(split.tokens, None, batch_size)
    return max(families, key=lambda f: _saving(table, f, promise, settings, len(split)))


def _saving(table: ExitTable, family: Policy, promise: Promise, settings: int, texts: int) -> float:
    """Depth over mean exit layer at the last setting that keeps the promise; 0 if none does."""
    top = table.said(table.logits[-1])
    means: list[float] = []

    def one_by_one() -> Any:
        for value in grid(family, settings):
            layers, prediction = table.simulate(family.at(value))
            means.append(float(layers[table.mine].mean()) if table.mine.any() else 1.0)
            differs = (prediction != top) & table.mine
            yield text_losses(differs, table.text, texts, promise.of)

    kept = promise.last(one_by_one())
    return table.num_layers / means[kept - 1] if kept else 0.0


def _labelled(model: Labeller, split: TaggedSplit, batch_size: int) -> TaggedSplit:
    """The texts with what full depth says as their labels."""
    deep = trace_split(model, split, Never(), batch_size=batch_size)
    tags: list[list[str]] = [[] for _ in range(len(split))]
    for text, number in zip(deep.text, deep.prediction, strict=True):
        tags[text].append(model.labels[number])
    return replace(split, tags=tags)
