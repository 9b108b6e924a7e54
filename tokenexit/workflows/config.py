"""Settings of a recipe for taggers, and of one for text classifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tokenexit.config.limits import about, setting
from tokenexit.errors import UserError
from tokenexit.tasks import tasks_of
from tokenexit.training.gate_config import ContextGateConfig, TextGateConfig
from tokenexit.workflows.base_config import RunConfig


@dataclass(frozen=True)
class EncoderConfig(RunConfig):
    """What a run of an encoder with exits is asked for, whatever it labels."""

    data: str | None = setting(None, "Hub id, folder or file of labelled sentences or texts")
    keep_layers: list[int] | int | Literal["alternate"] | None = setting(
        None, "layers of the model to keep: numbers from 1, or how many; all by default"
    )
    heads: dict[str, Any] = setting(lambda: {"name": "linear"}, "kind of exit heads")
    reducer: dict[str, Any] | None = setting(
        None, "what takes rows out of texts, in training and after: tokenexit reducers"
    )
    embeddings: dict[str, Any] | None = setting(
        None, "what stands for lower layers, such as {name: ngram, layers: 3}"
    )
    ngram_table: int | None = setting(
        None, "n-grams of the training split looked up after it, the commonest", low=1
    )
    widths: dict[str, Any] | float | None = setting(
        None, "share of each layer's heads and neurons, in training and after; all"
    )
    context_gate: ContextGateConfig = field(default_factory=ContextGateConfig)


@dataclass(frozen=True)
class TaggingConfig(EncoderConfig):
    """Train, calibrate, evaluate and report a tagger with exits, into ``output_dir``."""

    task: str = setting("ner", f"what the tags are: {', '.join(tasks_of('word'))}")
    column: str | None = setting(None, "column of the tags; ner_tags or pos_tags by default")
    heads: dict[str, Any] = setting(
        lambda: {"name": "mlp"},
        "kind of exit heads; low layers say more to one with a hidden layer",
    )
    convert_tags: bool = setting(False, "convert BIOES and IOB1 tags to BIO")
    halted: Literal["copy", "drop", "restore"] = setting(
        "copy", "what halted words still give to the others"
    )
    decode: Literal["auto", "argmax", "legal", "crf"] = setting(
        "auto", "how labels are chosen; entity tags follow their scheme by default"
    )
    splitter: str = setting(
        "auto", "how raw text becomes words, such as words+clitics; as the data by default"
    )

    @property
    def tag_column(self) -> str:
        """The column with the tags."""
        return self.column or f"{self.task}_tags"


REGRESSION = "regression"
"""The task that once was a switch of its own."""


@dataclass(frozen=True)
class ClassificationConfig(EncoderConfig):
    """Train, calibrate, evaluate and report a text classifier with exits, into ``output_dir``."""

    task: str = setting("classification", f"what a text gets: {', '.join(tasks_of('text'))}")
    column: str | None = setting(None, "column of the texts")
    pair_column: str | None = setting(None, "column of the second texts")
    label_column: str = setting("label", "column of the labels")
    heads: dict[str, Any] = field(
        default_factory=lambda: {"name": "linear", "pool": "mean"},
        metadata=about("kind of exit heads; low layers say more in all tokens than in the first"),
    )
    context_gate: TextGateConfig = field(default_factory=TextGateConfig)
    regression: bool = setting(False, "the same as task=regression: labels are numbers")
    batching: Literal["fixed", "by_depth"] = setting(
        "fixed", "by_depth: who goes on waits at an exit until a batch of them is there"
    )
    stages: list[dict[str, Any]] = setting(
        list, "for a cascade: what each model's run is told besides, the cheapest first"
    )

    # What a text cannot be asked, because it leaves as a whole.
    halted: ClassVar[Literal["copy"]] = "copy"
    decode: ClassVar[Literal["argmax"]] = "argmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.regression and self.task not in (REGRESSION, type(self).task):
            raise UserError(
                f"regression=true is short for task={REGRESSION}, and the task is {self.task}: "
                "leave one of the two out."
            )
        if self.regression:
            object.__setattr__(self, "task", REGRESSION)
