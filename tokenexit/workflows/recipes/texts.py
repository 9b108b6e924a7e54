"""The recipes for texts: classes and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from transformers import AutoModelForSequenceClassification

from tokenexit.data.texts import TextSplit
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.scale import Scale
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.models.splitting.words import split_words
from tokenexit.tasks import Unit
from tokenexit.tasks.naming import text_task
from tokenexit.tasks.texts import TextTask
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.recipes.labels import LabelRecipe
from tokenexit.workflows.recipes.presets import DEMO_OF_LABELS
from tokenexit.workflows.recipes.text_splits import read_text_splits


class TextRecipe(LabelRecipe):
    """Each text gets an answer: a class, a number, or what the task has."""

    unit: ClassVar[Unit] = "text"
    demo_settings: ClassVar[Mapping[str, Any]] = DEMO_OF_LABELS
    schema: ClassVar[type[Any]] = ClassificationConfig
    auto = AutoModelForSequenceClassification

    @property
    def task(self) -> TextTask:
        """What is learned."""
        return text_task(self.config.task)

    def read_source(self, source: str) -> dict[str, TextSplit]:
        """See ``LabelRecipe``."""
        return read_text_splits(self.config, self.task, source)

    def labels(self, split: TextSplit) -> tuple[str, ...]:
        """See ``LabelRecipe``."""
        return self.task.labels(split)

    def vocabulary_of(self, split: TextSplit) -> list[list[str]]:
        """See ``LabelRecipe``."""
        return [split_words(text)[0] for text in split.words]

    def with_exits(
        self, network: Any, tokenizer: Any, labels: tuple[str, ...], split: Any, **exits: Any
    ) -> EncoderModel:
        """See ``LabelRecipe``."""
        scale = None if self.task.countable else Scale.of(split)
        return ExitModelForSequenceClassification.from_transformers(
            network, tokenizer, labels, **exits, scale=scale, task=self.config.task
        )

    def wording(self, split: TextSplit, labels: tuple[str, ...]) -> dict[str, Any]:
        """Nothing: texts are read as they are."""
        return {}

    def configure(self, model: Any, split: TextSplit) -> None:
        """See ``Recipe``."""
        super().configure(model, split)
        model.use_batching(self.config.batching)

    def few(self, text: Sequence[str]) -> Sequence[str]:
        """All of it: a text leaves as a whole."""
        return text

    def fixed(self, model: Any) -> bool:
        """Of a cascade there is something to choose, however its models were trained."""
        return len(model.settings.exit_layers) == 1 if self.config.stages else super().fixed(model)
