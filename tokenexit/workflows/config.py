"""Settings of a recipe for taggers, and of one for text classifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tokenexit.calibration import CalibrateConfig
from tokenexit.config.limits import SEED, THREADS, about, check_limits
from tokenexit.training import TrainConfig
from tokenexit.training.gate_config import ContextGateConfig, TextGateConfig


@dataclass(frozen=True)
class EncoderConfig:
    """What a run of an encoder with exits is asked for, whatever it labels."""

    output_dir: str = field(metadata=about("run folder"))
    data: str | None = field(
        default=None, metadata=about("Hub id, folder or file of labelled sentences or texts")
    )
    data_name: str | None = field(default=None, metadata=about("configuration of a Hub data set"))
    model: str | dict[str, Any] = field(
        default="bert-base-cased",
        metadata=about("Hub id or folder, or a description of a fresh small model"),
    )
    keep_layers: list[int] | int | Literal["alternate"] | None = field(
        default=None,
        metadata=about("layers of the model to keep: numbers from 1, or how many; all by default"),
    )
    exit_layers: list[int] | None = field(
        default=None, metadata=about("layers with an exit, from 1; all by default")
    )
    heads: dict[str, Any] = field(
        default_factory=lambda: {"name": "linear"}, metadata=about("kind of exit heads")
    )
    method: str | None = field(
        default=None,
        metadata=about("a published system: sets heads, train and calibrate.policies"),
    )
    train: TrainConfig = field(default_factory=TrainConfig)
    context_gate: ContextGateConfig = field(default_factory=ContextGateConfig)
    policy: dict[str, Any] = field(
        default_factory=dict,
        metadata=about("the policy; a few families are calibrated when empty"),
    )
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    metric: str | None = field(
        default=None,
        metadata=about("figure that is the quality; the task's usual one when empty"),
    )
    precision: Literal["fp32", "bf16", "fp16", "int8"] | None = field(
        default=None,
        metadata=about("what calibrating and evaluating compute with; as the weights if empty"),
    )
    batch_size: int = field(default=32, metadata=about("sentences a batch when evaluating", low=1))
    train_on: int | None = field(
        default=None,
        metadata=about("training texts, drawn at random; all when empty", low=1),
    )
    validate_on: int | None = field(
        default=None,
        metadata=about("validation texts, drawn at random; all when empty", low=1),
    )
    test_on: int | None = field(
        default=None,
        metadata=about("test texts to measure on, drawn at random; all when empty", low=1),
    )
    threads: int | None = field(
        default=None, metadata=about("threads torch computes with", low=1, high=THREADS)
    )
    seed: int = field(default=0, metadata=about("of everything random", low=0, high=SEED))
    seeds: list[int] = field(
        default_factory=list,
        metadata=about("several seeds, a run each in output_dir/seed-N", low=0, high=SEED),
    )
    plugins: list[str] = field(
        default_factory=list,
        metadata=about("your own .py files that register policies, heads, ..."),
    )
    resume: bool = field(default=False, metadata=about("go on with an interrupted run"))
    overwrite: bool = field(default=False, metadata=about("replace the run in output_dir"))

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class TaggingConfig(EncoderConfig):
    """Train, calibrate, evaluate and report a tagger with exits, into ``output_dir``."""

    task: Literal["ner", "pos"] = field(default="ner", metadata=about("what the tags are"))
    column: str | None = field(
        default=None, metadata=about("column of the tags; ner_tags or pos_tags by default")
    )
    heads: dict[str, Any] = field(
        default_factory=lambda: {"name": "mlp"},
        metadata=about("kind of exit heads; low layers say more to one with a hidden layer"),
    )
    convert_tags: bool = field(default=False, metadata=about("convert BIOES and IOB1 tags to BIO"))
    halted: Literal["copy", "drop", "restore"] = field(
        default="copy", metadata=about("what halted words still give to the others")
    )
    decode: Literal["auto", "argmax", "legal", "crf"] = field(
        default="auto",
        metadata=about("how labels are chosen; entity tags follow their scheme by default"),
    )
    splitter: str = field(
        default="auto",
        metadata=about("how raw text becomes words, such as words+clitics; as the data by default"),
    )

    @property
    def tag_column(self) -> str:
        """The column with the tags."""
        return self.column or f"{self.task}_tags"


@dataclass(frozen=True)
class ClassificationConfig(EncoderConfig):
    """Train, calibrate, evaluate and report a text classifier with exits, into ``output_dir``."""

    column: str | None = field(default=None, metadata=about("column of the texts"))
    pair_column: str | None = field(default=None, metadata=about("column of the second texts"))
    label_column: str = field(default="label", metadata=about("column of the labels"))
    heads: dict[str, Any] = field(
        default_factory=lambda: {"name": "linear", "pool": "mean"},
        metadata=about("kind of exit heads; low layers say more in all tokens than in the first"),
    )
    context_gate: TextGateConfig = field(default_factory=TextGateConfig)
    regression: bool = field(
        default=False, metadata=about("labels are numbers, which the model learns to tell")
    )
    stages: list[dict[str, Any]] = field(
        default_factory=list,
        metadata=about("for a cascade: what each model's run is told besides, the cheapest first"),
    )

    # What a text cannot be asked, because it leaves as a whole.
    halted: ClassVar[Literal["copy"]] = "copy"
    decode: ClassVar[Literal["argmax"]] = "argmax"

    @property
    def task(self) -> str:
        """``classification`` or ``regression``."""
        return "regression" if self.regression else "classification"
