"""Which figure stands for quality, and how much of it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenexit.errors import UserError
from tokenexit.evaluation.metrics import METRICS as USUAL
from tokenexit.evaluation.metrics import score_classes
from tokenexit.metrics import METRICS, build_metric, measure

OWN = {
    "ner": ("f1", "f1_strict", "precision", "recall", "accuracy", "macro_f1"),
    "pos": ("accuracy", "macro_f1"),
    "classification": ("accuracy", "macro_f1"),
    "regression": ("correlation", "pearson", "spearman", "mse"),
}
"""Figures that are computed anyhow, by task."""

USUAL_OF_TEXTS = "bleu"
UNKNOWN_NAME = "<unknown>"


def kept(quality: float, full: float, lower: bool = False) -> float:
    """Share of full-depth quality that is kept; 1 where there was nothing to lose.

    Args:
        quality: With exits, 0 or more.
        full: At full depth.
        lower: Whether lower is better: then it is full depth's errors over those with exits.
    """
    if lower:
        return full / quality if quality else 1.0
    return quality / full if full else 1.0


def lower_is_better(metric: str) -> bool:
    """Whether a metric counts errors."""
    return metric == "mse" or any(
        cls.lower_is_better for name, cls in METRICS.items() if name == metric
    )


def check_metric(metric: str | None, task: str) -> None:
    """Refuse a metric that does not fit a task, before anything is computed.

    Raises:
        UserError: There is no such metric; the message names those that there are.
    """
    if metric is None or metric in OWN.get(task, ()):
        return
    if task not in OWN:
        build_metric(metric, "texts")
        return
    fitting = [name for name, cls in METRICS.items() if cls.of == "labels"]
    if metric not in fitting:
        raise UserError(
            f"Unknown metric {metric!r} for {task}. Available: "
            f"{', '.join([*OWN[task], *fitting])}. Load your own with a plug-in."
        )
    build_metric(metric, "labels")


def graded(
    task: str,
    prediction: np.ndarray,
    gold: np.ndarray,
    text: np.ndarray,
    labels: Sequence[str],
    metric: str | None = None,
) -> dict[str, Any]:
    """As ``score_classes``, with the figure that was asked for as ``quality``.

    Args:
        task: What the labels are.
        prediction: Classes or numbers, ``[W]``, by text and position.
        gold: True ones.
        text: Number of each word's text.
        labels: Names of the classes.
        metric: A figure of the task or a metric of labels; the task's usual one when None.

    Raises:
        UserError: The metric gives no quality.
    """
    figures = score_classes(task, prediction, gold, text, labels)
    if metric is None or metric == USUAL[task]:
        return figures
    if metric not in OWN[task]:
        own = build_metric(metric, "labels")
        told = _named(task, prediction, gold, text, labels)
        figures[metric] = measure(own, metric, *told)
    # A correlation that points the wrong way is worth no more than none.
    return {**figures, "metric": metric, "quality": max(float(figures[metric]), 0.0)}


def _named(
    task: str, prediction: np.ndarray, gold: np.ndarray, text: np.ndarray, labels: Sequence[str]
) -> tuple[list[Any], list[Any]]:
    """Predictions and gold labels by name, as a metric of one's own gets them."""
    known = np.isfinite(gold) if task == "regression" else gold != -100
    both = (prediction[known], gold[known])
    if task == "regression":
        return both[0].tolist(), both[1].tolist()
    names = np.array([*labels, UNKNOWN_NAME], dtype=object)
    told = [names[np.where(classes < 0, len(labels), classes)] for classes in both]
    if task == "classification":
        return told[0].tolist(), told[1].tolist()
    cuts = np.flatnonzero(np.diff(text[known])) + 1
    first, second = ([part.tolist() for part in np.split(one, cuts)] for one in told)
    return first, second
