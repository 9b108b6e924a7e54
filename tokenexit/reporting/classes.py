"""How good each label or type is, and how deep its rows go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.reporting.run import RunData
from tokenexit.reporting.word_trace import WordTrace
from tokenexit.tasks import TASKS, LabelledTask, Rows
from tokenexit.tasks.scoring.kinds import KindCount, count_classes

MOST_CLASSES = 1_000_000
"""A trace with a class beyond is damaged."""


@dataclass(frozen=True)
class ClassDepth:
    """The rows of one label, or of one type of entity.

    Attributes:
        label: The label or type.
        count: Its rows.
        true: Gold answers of it: entities rather than their words. None where labels are
            predictions themselves, as in the following.
        precision: Share of what was said that is right.
        recall: Share of what is true that was said.
        f1: Their harmonic mean.
        depth: Mean exit layer of its rows.
        shares: Share of them that left at each layer, from the first.
    """

    label: str
    count: int
    true: int | None
    precision: float | None
    recall: float | None
    f1: float | None
    depth: float
    shares: tuple[float, ...]


def class_depths(run: RunData) -> tuple[list[ClassDepth], bool]:
    """Each label or type, the deepest first, and whether they are gold ones.

    Without any gold label, rows are grouped by prediction.
    """
    words = run.words
    if words is None or not len(words) or words.numbers:
        return [], True
    if words.known.any():
        counted = [_row(run, words, one.name, one.mine, one) for one in _kinds(run, words)]
    else:
        counted = [
            _row(run, words, run.label(int(number)), words.prediction == number, None)
            for number in np.unique(words.prediction)
        ]
    # Of what was said and never true there are no rows; it comes last.
    deepest = sorted(counted, key=lambda row: -row.depth if row.count else 0.0)
    return deepest, bool(words.known.any())


def entity_depths(run: RunData) -> tuple[float, float] | None:
    """Mean exit layer of words outside and inside entities; None for other tasks."""
    words = run.words
    if words is None or not len(words) or run.task != "ner":
        return None
    names = np.array([run.label(int(number)) for number in words.gold], dtype=object)
    outside = words.known & (names == "O")
    inside = words.known & ~outside
    if not outside.any() or not inside.any():
        return None
    return float(words.exit_layer[outside].mean()), float(words.exit_layer[inside].mean())


def _kinds(run: RunData, words: WordTrace) -> list[KindCount]:
    """Answers by kind, as the task has them; by class where nobody knows the task."""
    assert words.gold_code is not None
    known = words.known
    most = int(max(words.prediction.max(), words.gold.max()))
    if most >= MOST_CLASSES:
        raise UserError(
            f"The trace has a class {most}, which no model has: it is damaged. Copy the run folder "
            "again, or evaluate the run anew."
        )
    labels = [run.label(number) for number in range(most + 1)]
    labels += list((run.metrics or {}).get("labels") or ())[len(labels) :]
    rows = Rows(words.prediction[known], words.gold_code[known], words.text[known], labels)
    kind = dict(TASKS.items()).get(run.task)
    task = None if kind is None else kind(run.task)
    found = task.by_kind(rows) if isinstance(task, LabelledTask) else []
    found = found or count_classes(rows.prediction, rows.gold, labels)
    return [one._replace(mine=_whole(one.mine, known)) for one in found]


def _whole(mine: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows among all, from rows among those with a gold answer."""
    found = np.zeros(len(known), dtype=bool)
    found[np.flatnonzero(known)[mine]] = True
    return found


def _row(
    run: RunData, words: WordTrace, label: str, mine: NDArray[np.bool_], counted: KindCount | None
) -> ClassDepth:
    left = words.exit_layer[mine]
    return ClassDepth(
        label=label,
        count=len(left),
        true=None if counted is None else counted.true,
        precision=None if counted is None else counted.precision,
        recall=None if counted is None else counted.recall,
        f1=None if counted is None else counted.f1,
        depth=float(left.mean()) if len(left) else float("nan"),
        shares=tuple(float((left == n).mean()) for n in range(1, run.num_layers + 1))
        if len(left)
        else (),
    )
