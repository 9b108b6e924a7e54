"""Span F1 from seqeval in two modes, both stated.

``f1`` is its default (an I-X that nothing began counts as a span, as in the CoNLL script),
``f1_strict`` follows IOB2 to the letter.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.extras import require_libraries
from tokenexit.tasks.scoring.gold import entity_kinds


def entity_figures(
    prediction: NDArray[np.integer],
    gold: NDArray[np.integer],
    text: NDArray[np.integer],
    labels: Sequence[str],
) -> dict[str, float]:
    """F1, precision, recall and strict F1 of entity spans; see ``fast_span_f1`` for arguments."""
    require_libraries("seqeval")
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


def _tags(classes: NDArray[np.integer], labels: Sequence[str]) -> NDArray[np.object_]:
    """BIO tags with numbers for types: equal where the true names are, unseen types included."""
    kind, begin = entity_kinds(classes, labels)
    names = [
        f"{prefix}-{number}" for number in range(int(kind.max(initial=0)) + 1) for prefix in "IB"
    ]
    return np.array([*names, "O"], dtype=object)[np.where(kind < 0, -1, 2 * kind + begin)]
