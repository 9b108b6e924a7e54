"""Which labels need depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenexit.reporting.run import RunData


@dataclass(frozen=True)
class ClassDepth:
    """Where the words of one label left.

    Attributes:
        label: The label.
        count: Its words.
        depth: Their mean exit layer.
        accuracy: Share predicted right; None where labels are predictions themselves.
        shares: Share of them that left at each layer, from the first.
    """

    label: str
    count: int
    depth: float
    accuracy: float | None
    shares: tuple[float, ...]


def class_depths(run: RunData) -> tuple[list[ClassDepth], bool]:
    """Depth of each label, the deepest first, and whether labels are gold ones.

    Without any gold label, words are grouped by prediction.
    """
    words = run.words
    if words is None or not len(words) or words.numbers:
        return [], True
    gold = bool(words.known.any())
    label = words.gold if gold else words.prediction
    layers = range(1, run.num_layers + 1)
    found = []
    for number in np.unique(label[words.known] if gold else label):
        mine = label == number
        left = words.exit_layer[mine]
        found.append(
            ClassDepth(
                label=run.label(int(number)),
                count=int(mine.sum()),
                depth=float(left.mean()),
                accuracy=float((words.prediction[mine] == number).mean()) if gold else None,
                shares=tuple(float((left == layer).mean()) for layer in layers),
            )
        )
    return sorted(found, key=lambda row: -row.depth), gold


def entity_depths(run: RunData) -> tuple[float, float] | None:
    """Mean exit layer of words outside and inside entities; None for other tasks."""
    rows, gold = class_depths(run)
    outside = [row for row in rows if row.label == "O"]
    inside = [row for row in rows if row.label[:2] in ("B-", "I-")]
    if not gold or not outside or not inside:
        return None
    total = sum(row.count for row in inside)
    return outside[0].depth, sum(row.count * row.depth for row in inside) / total
