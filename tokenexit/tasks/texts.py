"""What all tasks share whose texts get an answer each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from tokenexit.data.corpus import TEXTS, Reads
from tokenexit.tasks.base import Holder, Kind, Level, Unit
from tokenexit.tasks.labelled import LabelledTask

if TYPE_CHECKING:
    import pyarrow as pa


class TextTask(LabelledTask):
    """A task whose texts, or pairs of texts, get an answer each."""

    unit: ClassVar[Unit] = "text"
    holder: ClassVar[Holder] = "text"
    level: ClassVar[Level] = "sentence"
    loader: ClassVar[str] = "ExitModelForSequenceClassification"
    kind: ClassVar[Kind] = "classifier"
    made: ClassVar[str] = "a text classifier"
    pipeline: ClassVar[str] = "text-classification"
    reads: ClassVar[Reads] = TEXTS
    example: ClassVar[str] = "A text to classify."

    def answer_fields(self, labels: Sequence[str], pairs: bool = False) -> dict[str, pa.DataType]:
        """See ``Task``."""
        import pyarrow as pa

        text = pa.list_(pa.string()) if pairs else pa.string()
        return {**self.said_fields(), "exit_layer": pa.int32(), "text": text}

    def said_fields(self) -> dict[str, pa.DataType]:
        """Of these, what is said of a text."""
        import pyarrow as pa

        return {"label": pa.string(), "confidence": pa.float64()}
