"""Quality and cost of a tagger or classifier on a split, by real runs of the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.bootstrap import paired, text_parts
from tokenexit.evaluation.oracle_words import WordOracle, oracle_words
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.evaluation.reference import at_full_depth
from tokenexit.evaluation.result import result_of
from tokenexit.halting import Halted, Trace, merge
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.results import Result
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers


def check_answers(model: Labeller, split: TaggedSplit, on_unknown: str) -> None:
    """Refuse labels that the model cannot be measured by.

    Args:
        model: What is measured.
        split: Labelled texts.
        on_unknown: See ``check_labels``.

    Raises:
        UserError: Numbers for a classifier, classes for a regression, or unknown labels.
    """
    labelled_task(model.settings.task).check_answers(split, model.labels, on_unknown)


def trace_split(
    model: Labeller,
    split: TaggedSplit,
    policy: Policy,
    *,
    batch_size: int = 32,
    halted: Halted | None = None,
    decode: str | None = None,
) -> Trace:
    """Tag a split over all processes; every process gets the whole trace."""
    mine = my_share(len(split))
    gold = None if split.tags is None else class_numbers(split, model.labels)
    trace = model.trace(
        split.take(mine).tokens,
        gold and [gold[row] for row in mine],
        policy=policy,
        batch_size=batch_size,
        halted=halted,
        decode=decode,
    )
    numbered = replace(trace, text=np.array(mine, dtype=np.int64)[trace.text])
    return merge(gather([numbered]))


def evaluate_labelled(
    model: Labeller,
    split: TaggedSplit,
    name: str,
    policy: Policy | None = None,
    *,
    full_depth: float | None = None,
    full: Trace | None = None,
    batch_size: int = 32,
    halted: Halted | None = None,
    decode: str | None = None,
    on_unknown: str | None = "error",
    oracle: bool | WordOracle = False,
) -> tuple[Result, Trace]:
    """Measure a policy on a split.

    Args:
        model: The tagger.
        split: Labelled texts.
        name: Name of the split.
        policy: Who halts; the model's own when None.
        full_depth: Quality without exits in float32, if it is known already.
        full: The same texts at full depth in float32, if they are known already.
        batch_size: Texts a batch.
        halted: See ``EncoderModel.tag``.
        decode: See there.
        on_unknown: ``error`` or ``keep`` labels outside the training set, as wrong; None keeps
            them without a word.
        oracle: Also say what an oracle would do, for one more pass at full depth; or what
            ``oracle_words`` found, if it is known already.

    Returns:
        The figures, and the trace they come from.

    Raises:
        UserError: No labels, or labels the model does not know; an oracle of a regression.
    """
    if on_unknown is not None:
        check_answers(model, split, on_unknown)
    if oracle is True:
        oracle = oracle_words(model, split, batch_size)
    chosen = chosen_policy(model, policy)
    options: dict[str, Any] = {"batch_size": batch_size, "halted": halted, "decode": decode}
    trace = trace_split(model, split, chosen, **options)
    task, metric = labelled_task(model.settings.task), model.settings.metric
    task.check_metric(metric)

    def graded(run: Trace) -> dict[str, Any]:
        return task.graded(run.prediction, run.gold, run.text, model.labels, metric)

    if full is None and full_depth is None:
        full = at_full_depth(
            model, trace, chosen, lambda: trace_split(model, split, Never(), **options)
        )
    figures = graded(trace)
    if full_depth is None:
        assert full is not None
        full_depth = float(graded(full)["quality"])
    metric, quality = str(figures.pop("metric")), float(figures.pop("quality"))
    beside: dict[str, float] = {}
    if full is not None and task.countable:
        beside = changed_shares(trace, full)
        if metric == task.metric and len(trace):
            beside |= difference(trace, full, model.labels, task.name, metric)
    return result_of(
        model,
        task,
        trace,
        chosen,
        metric=metric,
        quality=quality,
        full=full_depth,
        split=name,
        n_sentences=len(split),
        mac_ratio=model.mac_ratio(trace),
        figures={key: float(value) for key, value in figures.items()} | beside,
        oracle=oracle.account(trace, model.labels) if oracle else None,
    ), trace


def changed_shares(trace: Trace, full: Trace) -> dict[str, float]:
    """How much differs from full depth: what ``calibrate.risk`` promises a bound on.

    Args:
        trace: A run with exits.
        full: The same texts at full depth.

    Returns:
        Of texts that have words: ``texts_changed``, the share in which any label is another, and
        ``words_changed``, the share of a text's words, mean over texts.
    """
    words = np.bincount(trace.text)
    changed = np.bincount(trace.text[trace.prediction != full.prediction], minlength=len(words))
    if not len(trace):
        return {"texts_changed": 0.0, "words_changed": 0.0}
    share = changed[words > 0] / words[words > 0]
    return {"texts_changed": float((share > 0).mean()), "words_changed": float(share.mean())}


def difference(
    trace: Trace, full: Trace, labels: Sequence[str], task: str, metric: str
) -> dict[str, float]:
    """Quality less that of full depth, and the share kept, with 95 % intervals over texts.

    Args:
        trace: A run with exits.
        full: The same texts at full depth.
        labels: Names of the classes.
        task: Its name.
        metric: Its usual figure, which the names begin with.
    """
    texts = int(trace.text.max()) + 1
    ours, deep = (text_parts(run, labels, task, texts) for run in (trace, full))
    found = paired(ours, deep)
    name = f"{metric}_difference"
    told = {name: found.difference, f"{name}_low": found.low, f"{name}_high": found.high}
    if math.isfinite(found.kept):
        told |= {"kept_low": found.kept_low, "kept_high": found.kept_high}
    return told
