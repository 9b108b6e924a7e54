"""The check of a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenexit.metrics import METRICS, Metric, measure
from tokenexit.testing.contract import Contract, require

Rows = tuple[list[Any], list[Any]]

TEXTS: list[Rows] = [
    ([""], [[""]]),
    ([""], [["a cat"]]),
    (["a cat"], [[""]]),
    (["", ""], [["a"], ["b", "c"]]),
    (["x"], [["x"]]),
    (["猫"], [["猫", "犬"]]),
    (["a b c d", "the cat sat on the mat"], [["a b d"], ["the cat sat there", "a cat sat"]]),
    (["a b c d e f"] * 3, [["a b c d e f"], ["a", "b", "c"], ["a b c d e f", ""]]),
]
"""Generated texts with their references, empty ones among them."""

WORDS: list[Rows] = [
    ([["O"]], [["O"]]),
    ([["B-X", "I-X", "O"], ["O"]], [["B-X", "O", "O"], ["<unknown>"]]),
    ([["O", "O"]] * 3, [["B-X", "I-X"]] * 3),
]
CLASSES: list[Rows] = [(["a"], ["a"]), (["a", "b", "a"], ["a", "a", "<unknown>"])]
NUMBERS: list[Rows] = [([0.5, 1.5, 2.5], [0.0, 1.0, 2.0]), ([1.0, 1.0], [1.0, 2.0])]
SAID = {"texts": TEXTS, "words": WORDS, "classes": CLASSES, "numbers": NUMBERS}


@dataclass(frozen=True)
class MetricCase:
    """A metric by name, and what it scores."""

    name: str
    metric: Metric
    rows: list[Rows]


METRIC: Contract[MetricCase] = Contract("metric")


def check_metric(metric: str | type[Metric], answers: str | None = None) -> None:
    """Check that a metric keeps its promises.

    Args:
        metric: A registered class or its name.
        answers: What it scores, of a metric of labels: ``words`` (one list of names a text),
            ``classes`` (one name a text) or ``numbers``; ``words`` when None.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    name = metric if isinstance(metric, str) else METRICS.name_of(metric)
    cls = METRICS.get(name)
    rows = SAID["texts" if cls.of == "texts" else answers or "words"]
    METRIC.hold(MetricCase(name, cls(), rows), f"{cls.__name__}({name!r})")


@METRIC.promise
def is_a_quality(case: MetricCase) -> None:
    """It is a finite number from 0 up, also of empty and of wrong answers, the same each time."""
    require(type(case.metric).__doc__, "give the class a docstring.")
    for said, gold in case.rows:
        first, second = (measure(case.metric, case.name, said, gold) for _ in range(2))
        require(first == second, f"of {said} against {gold} it gives {first} and then {second}.")


@METRIC.promise
def right_is_best(case: MetricCase) -> None:
    """No answer is better than the right one, as far as ``lower_is_better`` says."""
    for said, gold in case.rows:
        exact = [answer[0] for answer in gold] if case.metric.of == "texts" else gold
        right, other = (measure(case.metric, case.name, rows, gold) for rows in (exact, said))
        worse = right < other
        if case.metric.lower_is_better:
            worse = right > other
        require(
            not worse or math.isclose(right, other),
            f"the right answer gets {right} and {said} gets {other} against {gold}: is "
            f"lower_is_better = {case.metric.lower_is_better} what is meant?",
        )


@METRIC.promise
def parts_add_up(case: MetricCase) -> None:
    """Where it has ``parts``, ``whole`` of their sums is the score."""
    for said, gold in case.rows:
        parts = case.metric.parts(said, gold)
        if parts is None:
            continue
        require(
            isinstance(parts, np.ndarray) and parts.ndim == 2 and len(parts) == len(said),
            f"parts() of {len(said)} texts has to be an array [{len(said)}, K].",
        )
        found, score = case.metric.whole(parts.sum(axis=0)), case.metric.score(said, gold)
        require(
            math.isclose(found, score, abs_tol=1e-9),
            f"the parts of {said} give {found} and score() gives {score}.",
        )
