"""The recipes for words: named entities and parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from transformers import AutoModelForTokenClassification

from tokenexit.data.tagged import TaggedSplit, label_names, read_tagged, with_validation
from tokenexit.errors import UserError
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.splitting.splitter import splitter
from tokenexit.models.words.crf import TagCRF
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.policies import Policy
from tokenexit.tasks import Unit
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.recipes.labels import LabelRecipe
from tokenexit.workflows.recipes.presets import DEMO_OF_LABELS
from tokenexit.workflows.wording import wording

CRF = "crf"


class WordRecipe(LabelRecipe):
    """Each word gets a class."""

    unit: ClassVar[Unit] = "word"
    demo_settings: ClassVar[Mapping[str, Any]] = DEMO_OF_LABELS
    schema: ClassVar[type[Any]] = TaggingConfig
    of_words: ClassVar[bool] = True
    auto = AutoModelForTokenClassification

    def check(self) -> None:
        """See ``Recipe``."""
        super().check()
        if self.config.splitter != "auto":
            splitter(self.config.splitter)
        if self.config.calibrate.risk is not None and self.config.decode == CRF:
            raise UserError(
                "calibrate.risk cannot promise what decode=crf will say, since a CRF is learned "
                "after the policy is chosen. Use decode=legal or argmax, or leave calibrate.risk "
                "out and give the finished model to `tokenexit calibrate --risk`."
            )

    def read_source(self, source: str) -> dict[str, TaggedSplit]:
        """See ``LabelRecipe``."""
        config = self.config
        found = read_tagged(
            source, config.tag_column, name=config.data_name, convert=config.convert_tags
        )
        return with_validation(found, seed=config.seed)

    def labels(self, split: TaggedSplit) -> tuple[str, ...]:
        """See ``LabelRecipe``."""
        return label_names(split, self.config.tag_column)

    def vocabulary_of(self, split: TaggedSplit) -> list[list[str]]:
        """See ``LabelRecipe``."""
        return split.tokens

    def with_exits(
        self, network: Any, tokenizer: Any, labels: tuple[str, ...], split: Any, **exits: Any
    ) -> EncoderModel:
        """See ``LabelRecipe``."""
        return ExitModelForTokenClassification.from_transformers(
            network, tokenizer, labels, task=self.config.task, **exits
        )

    def wording(self, split: TaggedSplit, labels: tuple[str, ...]) -> dict[str, Any]:
        """See ``LabelRecipe``."""
        return wording(self.config, split, labels)

    def few(self, text: Sequence[str]) -> Sequence[str]:
        """See ``LabelRecipe``."""
        return text[:8]

    def dry_run(self, model: EncoderModel, split: Any, policies: Sequence[Policy]) -> None:
        """See ``Recipe``."""
        if self.config.decode == CRF:
            TagCRF(len(model.labels))
        super().dry_run(model, split, policies)

    def decide(self, model: Any, split: TaggedSplit) -> None:
        """See ``Recipe``."""
        if self.config.decode == CRF:
            model.fit_crf(split.tokens, class_numbers(split, model.labels))
            model.configure(decode=CRF)
