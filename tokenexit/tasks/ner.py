"""Named entities: F1 of whole spans, since a half one is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.demo import tagging
from tokenexit.tasks.base import TASKS
from tokenexit.tasks.labelled import Rows
from tokenexit.tasks.scoring.accuracy import accuracy_figures
from tokenexit.tasks.scoring.entities import entity_figures
from tokenexit.tasks.scoring.kinds import KindCount, count_entities
from tokenexit.tasks.scoring.spans import fast_span_f1, span_starts
from tokenexit.tasks.words import WordTask


@TASKS.register("ner")
class NamedEntities(WordTask):
    """Each word gets its place in an entity, as BIO has it."""

    title = "named-entity recognition"
    label_kind = "entity tags (BIO)"
    metric = "f1"
    f1 = True
    kept = "f1 kept"
    figures = (
        "f1", "f1_strict", "precision", "recall", "accuracy", "macro_f1",
    )  # fmt: skip
    libraries = ("seqeval", "sklearn")
    sorts = ("Entities", "Type")
    demo_share = 0.97

    def write_demo(self, folder: Path) -> None:
        """See ``Task``."""
        tagging.write(folder, self.name)

    def in_a_line(self, answer: Any) -> str:
        """Its entities."""
        return ", ".join(f"{one.text} ({one.type})" for one in answer.entities) or "no entity"

    def scored(self, rows: Rows) -> dict[str, float]:
        """See ``LabelledTask``."""
        spans = entity_figures(*rows)
        return {**spans, **accuracy_figures(rows.prediction, rows.gold)}

    def quick(self, rows: Rows) -> float:
        """See ``LabelledTask``."""
        return fast_span_f1(*rows)

    def by_kind(self, rows: Rows) -> list[KindCount]:
        """See ``LabelledTask``."""
        return count_entities(*rows)

    def parts(self, rows: Rows, texts: int) -> NDArray[np.float64]:
        """See ``LabelledTask``."""
        found, true, both = (
            np.bincount(rows.text[starts], minlength=texts) for starts in span_starts(*rows)
        )
        return np.stack([2 * both, found + true], axis=1).astype(np.float64)
