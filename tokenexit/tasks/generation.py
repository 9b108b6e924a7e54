"""Texts that are written for texts: translation, data to text, summarisation, or your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tokenexit.data.corpus import SOURCES
from tokenexit.demo import pairs
from tokenexit.metrics.rouge import installed
from tokenexit.tasks.base import TASKS, Task
from tokenexit.tasks.view import Piece, View

if TYPE_CHECKING:
    import pyarrow as pa


@TASKS.register("text2text")
class Generation(Task):
    """A text is written for each source; other names of generators' tasks are this one."""

    title = "text-to-text generation"
    unit = "token"
    holder = "text"
    policy_unit = "token"
    loader = "ExitModelForSeq2SeqLM"
    kind = "generator"
    made = "a model that generates text"
    of = "texts"
    metric = "bleu"
    figures = ()
    # BLEU is no mean over texts, which is all that can be bounded.
    kept = "chrf kept"
    libraries = ("sacrebleu",)
    pipeline = "text2text-generation"
    reads = SOURCES
    example = "A text to read."
    given = "source"
    shown = "result.text, result.exit_layers"
    demo: ClassVar[str] = "data_to_text"
    demo_share = 0.95

    def answer_fields(self, labels: Sequence[str], pairs: bool = False) -> dict[str, pa.DataType]:
        """See ``Task``."""
        import pyarrow as pa

        texts = pa.list_(pa.string())
        return {
            "text": pa.string(),
            "tokens": texts,
            "exit_layers": pa.list_(pa.int32()),
            "token_ids": pa.list_(pa.int64()),
            "token_texts": texts,
        }

    def view(self, answer: Any) -> View:
        """Each token that was written."""
        texts = answer.token_texts or answer.tokens
        pieces = [
            Piece(text.strip(), layer, spaced=text.startswith(" "))
            for text, layer in zip(texts, answer.exit_layers, strict=True)
        ]
        return View(answer.text, pieces)

    def kept_by(self, metric: str | None) -> str | None:
        """ROUGE-L where that is the quality; chrF else."""
        return "rougeL kept" if metric == "rougeL" else self.kept

    def write_demo(self, folder: Path) -> None:
        """See ``Task``."""
        pairs.write(folder, self.demo)

    def further(self) -> list[str]:
        """Metrics that a final evaluation shows beside BLEU and chrF, as far as installed."""
        return ["ter"]


@TASKS.register("translation")
class Translation(Generation):
    """Sentences in another language."""

    title = pipeline = demo = "translation"
    example = "The harbour is quiet today."


@TASKS.register("summarization")
class Summarization(Generation):
    """Short texts for long ones."""

    title = pipeline = demo = "summarization"
    example = "A long article about the harbour ..."

    def further(self) -> list[str]:
        """ROUGE besides, where its package is there."""
        return ["ter", *(["rouge1", "rouge2", "rougeL"] if installed() else [])]


@TASKS.register("data_to_text")
class DataToText(Generation):
    """Sentences that say what a table holds."""

    title = "data-to-text generation"
    example = "name[The Wild Kettle], kind[pub], area[old town]"
