"""Quality of tags: one signature for every tagging task, ``quality`` first.

Span F1 comes from seqeval in two modes, both stated: ``f1`` is its default (an I-X that nothing
began counts as a span, as in the CoNLL script), ``f1_strict`` follows IOB2 to the letter. Parts
of speech are scored by accuracy and macro F1, for which seqeval is no tool.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenexit.errors import unknown_name
from tokenexit.evaluation.correlation import correlation
from tokenexit.evaluation.gold import entity_kinds
from tokenexit.halting import Trace

METRICS = {
    "ner": "f1",
    "pos": "accuracy",
    "classification": "accuracy",
    "regression": "correlation",
}
"""The number that stands for quality, by task."""


def score(task: str, trace: Trace, labels: Sequence[str]) -> dict[str, Any]:
    """Score a trace against its gold labels; words without one are left out.

    Args:
        task: ``ner``, ``pos``, ``classification`` or ``regression``.
        trace: Predictions, with gold classes as ``class_numbers`` gives them.
        labels: Names of the classes.

    Returns:
        ``metric``, ``quality`` (that metric, 0 to 1) and every further figure of the task.

    Raises:
        UserError: Unknown task.
    """
    return score_classes(task, trace.prediction, trace.gold, trace.text, labels)


def score_classes(
    task: str,
    prediction: np.ndarray,
    gold: np.ndarray,
    text: np.ndarray,
    labels: Sequence[str],
) -> dict[str, Any]:
    """As ``score``, from arrays ``[W]`` sorted by text and position."""
    if task not in METRICS:
        raise unknown_name("task", task, METRICS)
    known = np.isfinite(gold) if task == "regression" else gold != -100
    prediction, gold, text = prediction[known], gold[known], text[known]
    if task == "regression":
        figures = correlation(prediction, gold)
    else:
        figures = _spans(prediction, gold, text, labels) if task == "ner" else {}
        figures |= _words(prediction, gold)
    metric = METRICS[task]
    return {"metric": metric, "quality": figures[metric], **figures}


def _words(prediction: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import f1_score

    if len(gold) == 0:
        return {"accuracy": 0.0, "macro_f1": 0.0}
    absent: Any = 0.0
    macro = f1_score(gold, prediction, average="macro", zero_division=absent)
    return {"accuracy": float((prediction == gold).mean()), "macro_f1": float(macro)}


def _spans(
    prediction: np.ndarray, gold: np.ndarray, text: np.ndarray, labels: Sequence[str]
) -> dict[str, float]:
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    cuts = np.flatnonzero(np.diff(text)) + 1
    true, guess = (
        [part.tolist() for part in np.split(_tags(classes, labels), cuts)]
        for classes in (gold, prediction)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sets without entities score 0, as they should
        figures: dict[str, Any] = {
            "f1": f1_score(true, guess),
            "precision": precision_score(true, guess),
            "recall": recall_score(true, guess),
            "f1_strict": f1_score(true, guess, mode="strict", scheme=IOB2),
        }
    return {name: float(figure) for name, figure in figures.items()}


def _tags(classes: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """BIO tags with numbers for types: equal where the true names are, unseen types included."""
    kind, begin = entity_kinds(classes, labels)
    names = [
        f"{prefix}-{number}" for number in range(int(kind.max(initial=0)) + 1) for prefix in "IB"
    ]
    return np.array([*names, "O"], dtype=object)[np.where(kind < 0, -1, 2 * kind + begin)]
