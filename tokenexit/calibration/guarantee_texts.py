"""The promise about unseen texts for a generator: how often another text is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tokenexit.calibration.guarantee import WITHOUT_LABELS, Certified, halves, walk
from tokenexit.calibration.risk import Losses, Promise
from tokenexit.calibration.simulate import grid
from tokenexit.data.pairs import PairSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import Result
from tokenexit.evaluation.generation import evaluate_texts, trace_texts
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.never import Never

Measure = Callable[[Policy], tuple[Result, Losses]]


def certify_texts(
    model: ExitModelForSeq2SeqLM,
    split: PairSplit,
    families: Sequence[Policy],
    promise: Promise,
    *,
    min_quality: float | None = None,
    settings: int = 32,
    name: str = "validation",
    batch_size: int = 32,
    design: PairSplit | None = None,
) -> Certified:
    """Choose a setting of one of the families for a generator, by real runs only.

    A text is lost when any token of it is another than at full depth. CALM (Schuster et al. 2022)
    promises a bound on a distance between texts instead, such as the loss of ROUGE, which allows
    more.

    Args:
        model: The generator.
        split: Sources that the model was not trained on; references are not needed.
        families: Policies with a knob.
        promise: What has to hold, of whole texts.
        min_quality: Share of full-depth BLEU to keep on these texts as well; needs references.
        settings: Of a family's knob.
        name: Of the split.
        batch_size: Sources a batch.
        design: See ``certify``.

    Raises:
        UserError: A promise about words.
    """
    if promise.of != "text":
        raise UserError(
            "calibrate.risk_of=words has no meaning for text generators, since one other word "
            "moves all that follow; use calibrate.risk_of=text."
        )

    def runner(part: PairSplit) -> tuple[Result, Measure]:
        with in_full_precision(model):
            if not (part.targets or part.references):
                deep = trace_texts(model, part, Never(), batch_size=batch_size)
                part = replace(part, targets=deep.texts)
            full, deep = evaluate_texts(model, part, name, Never(), batch_size=batch_size)
        if is_reduced(model):
            full, _ = evaluate_texts(model, part, name, Never(), full=deep, batch_size=batch_size)

        def measure(policy: Policy) -> tuple[Result, Losses]:
            result, trace = evaluate_texts(
                model, part, name, policy, full=deep, batch_size=batch_size
            )
            pairs = zip(trace.outputs, deep.outputs, strict=True)
            differs = [a.token_ids != b.token_ids for a, b in pairs]
            return result, np.array(differs, dtype=np.float64)

        return full, measure

    tested = split
    if design is None:
        chosen, rest = halves(len(split), len(families))
        design, tested = split.take(chosen), split.take(rest)
    family = families[0]
    if len(design) and len(families) > 1:
        _, measure = runner(design)
        family = min(families, key=lambda f: _cost(measure, f, promise, settings))
    full, measure = runner(tested)
    values = grid(family, settings)
    found = walk(
        promise, values, lambda v: measure(family.at(v)), full, min_quality, set_aside=len(design)
    )
    labelled = bool(split.targets or split.references)
    best = found.best
    if not labelled:
        best = replace(best, notes={**best.notes, "gold": WITHOUT_LABELS})
    facts = {"family_chosen_on": len(design), "labelled": labelled}
    return replace(found, best=best, promise={**found.promise, **facts})


def _cost(measure: Measure, family: Policy, promise: Promise, settings: int) -> float:
    """Multiply-accumulates at about the last setting that keeps the promise, found by halving."""
    values = grid(family, settings)
    low, high, cost = 0, len(values), float("inf")
    while low < high:
        middle = (low + high) // 2
        result, losses = measure(family.at(values[middle]))
        if promise.keeps(losses):
            low, cost = middle + 1, min(cost, result.mac_ratio)
        else:
            high = middle
    return cost
