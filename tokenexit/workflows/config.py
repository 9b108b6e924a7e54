"""Settings of a recipe for taggers, and of one for text classifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tokenexit.calibration import CalibrateConfig
from tokenexit.training import TrainConfig


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True)
class EncoderConfig:
    """What a run of an encoder with exits is asked for, whatever it labels."""

    output_dir: str = field(metadata=_help("run folder"))
    data: str | None = field(
        default=None, metadata=_help("Hub id, folder or file of labelled sentences or texts")
    )
    data_name: str | None = field(default=None, metadata=_help("configuration of a Hub data set"))
    model: str | dict[str, Any] = field(
        default="bert-base-cased",
        metadata=_help("Hub id or folder, or a description of a fresh small model"),
    )
    keep_layers: list[int] | int | Literal["alternate"] | None = field(
        default=None,
        metadata=_help("layers of the model to keep: numbers from 1, or how many; all by default"),
    )
    exit_layers: list[int] | None = field(
        default=None, metadata=_help("layers with an exit, from 1; all by default")
    )
    heads: dict[str, Any] = field(
        default_factory=lambda: {"name": "linear"}, metadata=_help("kind of exit heads")
    )
    method: str | None = field(
        default=None,
        metadata=_help("a published system: sets heads, train and calibrate.policies"),
    )
    train: TrainConfig = field(default_factory=TrainConfig)
    policy: dict[str, Any] = field(
        default_factory=dict,
        metadata=_help("the policy; a few families are calibrated when empty"),
    )
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    batch_size: int = field(default=32, metadata=_help("sentences a batch when evaluating"))
    validate_on: int | None = field(
        default=None,
        metadata=_help("validation texts, drawn at random; all when empty"),
    )
    test_on: int | None = field(
        default=None, metadata=_help("test texts to measure on, drawn at random; all when empty")
    )
    threads: int | None = field(default=None, metadata=_help("threads torch computes with"))
    seed: int = field(default=0, metadata=_help("of everything random"))
    plugins: list[str] = field(
        default_factory=list,
        metadata=_help("your own .py files that register policies, heads, ..."),
    )
    resume: bool = field(default=False, metadata=_help("go on with an interrupted run"))
    overwrite: bool = field(default=False, metadata=_help("replace the run in output_dir"))


@dataclass(frozen=True)
class TaggingConfig(EncoderConfig):
    """Train, calibrate, evaluate and report a tagger with exits, into ``output_dir``."""

    task: Literal["ner", "pos"] = field(default="ner", metadata=_help("what the tags are"))
    column: str | None = field(
        default=None, metadata=_help("column of the tags; ner_tags or pos_tags by default")
    )
    convert_tags: bool = field(default=False, metadata=_help("convert BIOES and IOB1 tags to BIO"))
    halted: Literal["copy", "drop", "restore"] = field(
        default="copy", metadata=_help("what halted words still give to the others")
    )
    decode: Literal["argmax", "legal", "crf"] = field(
        default="argmax", metadata=_help("legal or crf: entity tags that follow the scheme")
    )

    @property
    def tag_column(self) -> str:
        """The column with the tags."""
        return self.column or f"{self.task}_tags"


@dataclass(frozen=True)
class ClassificationConfig(EncoderConfig):
    """Train, calibrate, evaluate and report a text classifier with exits, into ``output_dir``."""

    column: str | None = field(default=None, metadata=_help("column of the texts"))
    pair_column: str | None = field(default=None, metadata=_help("column of the second texts"))
    label_column: str = field(default="label", metadata=_help("column of the labels"))
    heads: dict[str, Any] = field(
        default_factory=lambda: {"name": "linear", "pool": "mean"},
        metadata=_help("kind of exit heads; low layers say more in all tokens than in the first"),
    )
    regression: bool = field(
        default=False, metadata=_help("labels are numbers, which the model learns to tell")
    )
    stages: list[dict[str, Any]] = field(
        default_factory=list,
        metadata=_help("for a cascade: what each model's run is told besides, the cheapest first"),
    )

    # What a text cannot be asked, because it leaves as a whole.
    halted: ClassVar[Literal["copy"]] = "copy"
    decode: ClassVar[Literal["argmax"]] = "argmax"

    @property
    def task(self) -> str:
        """``classification`` or ``regression``."""
        return "regression" if self.regression else "classification"
