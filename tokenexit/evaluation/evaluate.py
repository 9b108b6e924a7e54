"""Quality and cost of a tagger on a split, by real runs of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.oracle_words import WordOracle, oracle_words
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.evaluation.quality import kept, lower_is_better
from tokenexit.evaluation.reference import as_reference, is_reduced, reference_precision
from tokenexit.halting import Halted, Trace, merge
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers


@dataclass(frozen=True)
class Result:
    """What one policy gives on one split.

    Attributes:
        task: ``ner``, ``pos``, ``translation``, ...
        split: Name of the split.
        n_sentences: Texts.
        n_rows: Words, or tokens written.
        metric: Which figure ``quality`` is.
        quality: 0 to 1.
        quality_full_depth: The same without exits, in float32 whatever ``precision`` is.
        relative_quality: Their ratio; 1 where there was nothing to lose.
        mean_exit_layer: Average depth of a word.
        num_layers: Depth of the network.
        depth_speedup: ``num_layers / mean_exit_layer``.
        exit_histogram: Words that left at each layer.
        mac_ratio: Multiply-accumulates, heads and confidence included, over those of the plain
            model on real tokens.
        policy: The policy as plain data.
        figures: Every metric of the task.
        lower_is_better: Whether quality counts errors; then ``relative_quality`` is full depth's
            over those with exits.
        precision: What the model computed with.
        products: By what: kernels, with their instruction set, or torch.
        runtime: Who planned it: ``eager``, ``static`` or ``kernels``.
        full_depth_precision: What full depth was computed with: as the weights are, if they are
            there.
        notes: What has to be said with them, such as sacreBLEU's signatures.
        unit: What a row is: a word, a text, or a token that was generated.
        oracle: How early an oracle would let rows leave, and which rows pay: ``oracle.account``.
    """

    task: str
    split: str
    n_sentences: int
    n_rows: int
    metric: str
    quality: float
    quality_full_depth: float
    relative_quality: float
    mean_exit_layer: float
    num_layers: int
    depth_speedup: float
    exit_histogram: list[int]
    mac_ratio: float
    policy: Mapping[str, Any]
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    lower_is_better: bool = False
    precision: str = "fp32"
    products: str = "torch"
    runtime: str = "eager"
    full_depth_precision: str = "fp32"
    oracle: Mapping[str, Any] | None = None
    unit: str = "word"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


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
    trace = model.tag(
        split.take(mine).tokens,
        gold and [gold[row] for row in mine],
        policy=policy,
        batch_size=batch_size,
        halted=halted,
        decode=decode,
    )
    numbered = replace(trace, text=np.array(mine, dtype=np.int64)[trace.text])
    return merge(gather([numbered]))


def evaluate(
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

    figures = graded(trace)
    if full_depth is None and full is None:
        if chosen == Never() and not is_reduced(model):
            full = trace
        else:
            with as_reference(model):
                full = trace_split(model, split, Never(), **options)
    if full_depth is None:
        assert full is not None
        full_depth = float(graded(full)["quality"])
    counted = full if task.countable else None
    changed = {} if counted is None else changed_shares(trace, counted)
    quality = float(figures["quality"])
    mean = trace.mean_exit_layer
    return Result(
        task=task.name,
        split=name,
        n_sentences=len(split),
        n_rows=len(trace),
        metric=str(figures["metric"]),
        quality=quality,
        quality_full_depth=full_depth,
        relative_quality=kept(quality, full_depth, lower_is_better(str(figures["metric"]))),
        mean_exit_layer=mean,
        num_layers=trace.num_layers,
        depth_speedup=trace.num_layers / mean if mean else 1.0,
        exit_histogram=trace.histogram,
        mac_ratio=model.mac_ratio(trace),
        policy=chosen.to_config(),
        figures={k: float(v) for k, v in figures.items() if k not in ("metric", "quality")}
        | changed,
        lower_is_better=lower_is_better(str(figures["metric"])),
        precision=model.precision,
        products=model.products,
        runtime=model.runtime_used,
        full_depth_precision=reference_precision(model),
        oracle=oracle.account(trace, model.labels) if oracle else None,
        unit=task.unit,
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
