"""What all tasks share whose texts get an answer each."""

from __future__ import annotations

from typing import ClassVar

from tokenexit.tasks.base import Holder, Kind, Level, Unit
from tokenexit.tasks.labelled import LabelledTask


class TextTask(LabelledTask):
    """A task whose texts, or pairs of texts, get an answer each."""

    unit: ClassVar[Unit] = "text"
    holder: ClassVar[Holder] = "text"
    level: ClassVar[Level] = "sentence"
    loader: ClassVar[str] = "ExitModelForSequenceClassification"
    kind: ClassVar[Kind] = "classifier"
    made: ClassVar[str] = "a text classifier"
    pipeline: ClassVar[str] = "text-classification"
    example: ClassVar[str] = "A text to classify."
