"""Answers counted by kind: precision, recall and F1 of each class or type of entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenexit.tasks.scoring.gold import entity_kinds, known_types
from tokenexit.tasks.scoring.spans import span_starts


class KindCount(NamedTuple):
    """What was said of one kind.

    Attributes:
        name: The class, label or type of entity.
        found: Answers of this kind.
        true: Gold answers of it.
        right: Answers that are right.
        mine: Rows whose gold answer is of it, ``[W]``.
    """

    name: str
    found: int
    true: int
    right: int
    mine: NDArray[np.bool_]

    @property
    def precision(self) -> float | None:
        """Share of what was said that is right; None where nothing was."""
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of what is true that was said; None where nothing is."""
        return self.right / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Their harmonic mean; None where there is neither."""
        both = self.found + self.true
        return 2 * self.right / both if both else None


def count_kinds(
    names: Sequence[str], found: NDArray[np.bool_], true: NDArray[np.bool_]
) -> list[KindCount]:
    """Kinds that rows have or have not; those that nobody has are left out.

    Args:
        names: Of the kinds.
        found: Which ones were said of each row, ``[W, K]``.
        true: Which ones are, likewise.
    """
    said, are, both = (one.sum(axis=0).tolist() for one in (found, true, found & true))
    return [
        KindCount(name, said[number], are[number], both[number], true[:, number])
        for number, name in enumerate(names)
        if said[number] or are[number]
    ]


def count_classes(
    prediction: NDArray[np.integer], gold: NDArray[np.integer], labels: Sequence[str]
) -> list[KindCount]:
    """Rows of one class each; classes below 0 are not in ``labels``, and left out.

    Args:
        prediction: Classes, ``[W]``.
        gold: Gold classes, ``[W]``.
        labels: Names of the classes.
    """
    classes = np.arange(len(labels))
    return count_kinds(labels, prediction[:, None] == classes, gold[:, None] == classes)


def count_entities(
    prediction: NDArray[np.integer],
    gold: NDArray[np.integer],
    text: NDArray[np.integer],
    labels: Sequence[str],
) -> list[KindCount]:
    """Entities of each type, whole spans; see ``fast_span_f1`` for arguments.

    Types that the model does not know are left out.
    """
    guess, truth = (entity_kinds(classes, labels)[0] for classes in (prediction, gold))
    found, true, both = span_starts(prediction, gold, text, labels)
    counted = []
    for number, name in enumerate(known_types(labels)):
        said, are = int((guess[found] == number).sum()), int((truth[true] == number).sum())
        if said or are:
            right = int((truth[both] == number).sum())
            counted.append(KindCount(name, said, are, right, truth == number))
    return counted
