"""What all tasks share whose texts get an answer each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from tokenexit.data.corpus import TEXTS
from tokenexit.data.texts import UNLABELLED, TextSplit
from tokenexit.halting import Trace
from tokenexit.tasks.answers import ClassifiedText
from tokenexit.tasks.labelled import LabelledTask
from tokenexit.tasks.view import Piece, View

if TYPE_CHECKING:
    import pyarrow as pa


class TextTask(LabelledTask):
    """A task whose texts, or pairs of texts, get an answer each."""

    unit = "text"
    holder = "text"
    policy_unit = "text"
    loader = "ExitModelForSequenceClassification"
    kind = "classifier"
    made = "a text classifier"
    pipeline = "text-classification"
    reads = TEXTS
    example = "A text to classify."
    split: ClassVar[type[TextSplit]] = TextSplit
    """What its labelled texts are read into."""
    shown: ClassVar[str] = "result.label, result.confidence, result.exit_layer"
    """What of an answer a card prints."""

    def answer_fields(self, labels: Sequence[str], pairs: bool = False) -> dict[str, pa.DataType]:
        """See ``Task``."""
        import pyarrow as pa

        text = pa.list_(pa.string()) if pairs else pa.string()
        return {**self.said_fields(), "exit_layer": pa.int32(), "text": text}

    def labels(self, split: TextSplit) -> tuple[str, ...]:
        """Names of the classes that a training split implies."""
        known = {label for labels in split.tags or [] for label in labels} - {UNLABELLED}
        return tuple(sorted(known))

    def heads(
        self, config: Mapping[str, Any] | None, labels: Sequence[str]
    ) -> Mapping[str, Any] | None:
        """Settings of exit heads, completed by what these need to know of the classes."""
        return config

    def output(self, last: nn.Module, labels: Sequence[str]) -> nn.Module:
        """The last layer of a network's own classifier, for training; by default as it is."""
        return last

    def answers(self, trace: Trace, labels: Sequence[str], texts: Sequence[Any]) -> list[Any]:
        """What a model says of texts, for people.

        Args:
            trace: Of the run, one entry a text.
            labels: Names of the classes.
            texts: The texts, or both of a pair, as the answers quote them.
        """
        rows = zip(trace.prediction, trace.confidence, trace.exit_layer, texts, strict=True)
        return [
            ClassifiedText(labels[int(found)], round(float(sure), 6), int(layer), text)
            for found, sure, layer, text in rows
        ]

    def view(self, answer: Any) -> View:
        """The text, or both of a pair, which leave together."""
        label, score = self.said(answer)
        texts = [answer.text] if isinstance(answer.text, str) else answer.text
        return View(label, [Piece(text, answer.exit_layer, label, score) for text in texts])

    def said(self, answer: Any) -> tuple[str, float | None]:
        """Of an answer, what was said and how sure that is."""
        return answer.label, answer.confidence

    def said_fields(self) -> dict[str, pa.DataType]:
        """Of these, what is said of a text."""
        import pyarrow as pa

        return {"label": pa.string(), "confidence": pa.float64()}
