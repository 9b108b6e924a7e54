"""Accuracy and macro F1 of classes, one a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.extras import require_libraries


def accuracy_figures(
    prediction: NDArray[np.integer], gold: NDArray[np.integer]
) -> dict[str, float]:
    """Accuracy and macro F1 of classes, ``[W]`` each; 0 without rows."""
    require_libraries("sklearn")
    from sklearn.metrics import f1_score

    if len(gold) == 0:
        return {"accuracy": 0.0, "macro_f1": 0.0}
    absent: Any = 0.0
    macro = f1_score(gold, prediction, average="macro", zero_division=absent)
    return {"accuracy": float((prediction == gold).mean()), "macro_f1": float(macro)}


def right_of(
    prediction: NDArray[np.integer],
    gold: NDArray[np.integer],
    text: NDArray[np.integer],
    texts: int,
) -> NDArray[np.float64]:
    """Right rows and all rows of each text, ``[texts, 2]``.

    Args:
        prediction: Classes, ``[W]``.
        gold: True ones.
        text: Number of each row's text.
        texts: How many there are.
    """
    right, every = text[prediction == gold], text
    counts = [np.bincount(rows, minlength=texts) for rows in (right, every)]
    return np.stack(counts, axis=1).astype(np.float64)
