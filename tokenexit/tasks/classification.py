"""Classes of texts: accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenexit.demo import texts
from tokenexit.policies import Policy
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.pcee import PCEE
from tokenexit.tasks.base import TASKS
from tokenexit.tasks.by_accuracy import ByAccuracy
from tokenexit.tasks.labelled import Rows
from tokenexit.tasks.texts import TextTask


@TASKS.register("classification")
class Classification(ByAccuracy, TextTask):
    """Each text gets a class."""

    title = "text classification"
    kept = "accuracy kept"

    def named(self, rows: Rows) -> tuple[list[Any], list[Any]]:
        """One name a text."""
        return rows.names(rows.prediction).tolist(), rows.names(rows.gold).tolist()

    def write_demo(self, folder: Path) -> None:
        """See ``Task``."""
        texts.write(folder)

    def families(self, labels: Sequence[str], context: bool = False) -> list[Policy]:
        """Entropy, alone and twice in a row, and the margin; of a text there is no window."""
        gated: list[Policy] = [ContextGate()] if context else []
        return [*gated, Entropy(), PCEE(Entropy(), 2), Margin()]
