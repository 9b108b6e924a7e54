"""The recipes for words: named entities and parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from transformers import AutoModelForTokenClassification

from tokenexit.data.groups import with_groups
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

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        asked = self.config.calibrate
        if self.config.decode == CRF and asked.promises_quality:  # what it will say is not known
            self.config = replace(self.config, calibrate=replace(asked, loose=True))

    def check(self) -> None:
        """See ``Recipe``."""
        super().check()
        if self.config.splitter != "auto":
            splitter(self.config.splitter)
        asked = self.config.calibrate
        named = "guarantee" if asked.guarantee is not None else "risk"
        if getattr(asked, named) is not None and self.config.decode == CRF:
            raise UserError(
                f"calibrate.{named} cannot promise what decode=crf will say, since a CRF is "
                f"learned after the policy is chosen. Use decode=legal or argmax, or leave "
                f"calibrate.{named} out and give the finished model to `tokenexit calibrate`."
            )

    def read_source(self, source: str) -> dict[str, TaggedSplit]:
        """See ``LabelRecipe``."""
        config = self.config
        found = read_tagged(
            source, config.tag_column, name=config.data_name, convert=config.convert_tags
        )
        found = with_groups(found, source, config.group_column, config.data_name)
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
