"""Settings of a text-to-text recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tokenexit.calibration import CalibrateConfig
from tokenexit.config.limits import SEED, THREADS, about, check_limits
from tokenexit.training import TrainConfig
from tokenexit.training.gate_config import StepGateConfig


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Train, calibrate, evaluate and report a text generator with exits, into ``output_dir``."""

    output_dir: str = field(metadata=about("run folder"))
    data: str | None = field(default=None, metadata=about("Hub id, folder or file of pairs"))
    data_name: str | None = field(default=None, metadata=about("configuration of a Hub data set"))
    task: Literal["translation", "data_to_text", "summarization"] = field(
        default="translation", metadata=about("what the pairs are")
    )
    lang: str | None = field(
        default=None, metadata=about("direction of a column of translations, such as en-de")
    )
    source_column: str | None = field(default=None, metadata=about("column of the sources"))
    target_column: str | None = field(default=None, metadata=about("column of the targets"))
    model: str | dict[str, Any] = field(
        default="google-t5/t5-small",
        metadata=about("Hub id or folder, or a description of a fresh small model"),
    )
    source_lang: str | None = field(
        default=None,
        metadata=about("language of the sources in the tokenizer; as lang by default"),
    )
    target_lang: str | None = field(
        default=None, metadata=about("language of the targets in the tokenizer")
    )
    source_prefix: str = field(
        default="", metadata=about("what stands before each source, such as 'summarize: ' for T5")
    )
    exit_layers: list[int] | None = field(
        default=None, metadata=about("decoder layers with an exit, from 1; all by default")
    )
    gate: bool = field(default=False, metadata=about("train CALM's classifier as a gate"))
    depth: bool = field(
        default=False, metadata=about("train Depth-Adaptive's prediction of the depth needed")
    )
    max_source: int = field(
        default=512, metadata=about("tokens of a source; longer ones are cut", low=2)
    )
    max_target: int = field(
        default=128, metadata=about("tokens of a target; longer ones are cut", low=2)
    )
    method: str | None = field(
        default=None,
        metadata=about("a published system: sets heads, train and calibrate.policies"),
    )
    train: TrainConfig = field(default_factory=TrainConfig)
    context_gate: StepGateConfig = field(default_factory=StepGateConfig)
    policy: dict[str, Any] = field(
        default_factory=dict,
        metadata=about("the policy; a few families are calibrated when empty"),
    )
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    metric: str | None = field(
        default=None,
        metadata=about("figure that is the quality: bleu, chrf, ter, rougeL, ...; BLEU when empty"),
    )
    encoder_policy: dict[str, Any] = field(
        default_factory=dict,
        metadata=about("policy of the source's tokens, in training too; none leaves when empty"),
    )
    pending: Literal["lazy", "eager", "parallel"] = field(
        default="lazy", metadata=about("what tokens that left early give to later ones")
    )
    generation: dict[str, Any] = field(
        default_factory=lambda: {"max_new_tokens": 128},
        metadata=about("arguments of generate when evaluating, such as num_beams"),
    )
    train_on: int | None = field(
        default=None,
        metadata=about("training texts, drawn at random; all when empty", low=1),
    )
    validate_on: int = field(
        default=200,
        metadata=about("validation texts generated after each epoch, drawn at random", low=1),
    )
    test_on: int | None = field(
        default=None,
        metadata=about("test texts to measure on, drawn at random; all when empty", low=1),
    )
    precision: Literal["fp32", "bf16", "fp16", "int8"] | None = field(
        default=None,
        metadata=about("what calibrating and evaluating compute with; as the weights if empty"),
    )
    batch_size: int = field(default=32, metadata=about("texts a batch when evaluating", low=1))
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
        metadata=about("your own .py files that register policies, objectives, ..."),
    )
    resume: bool = field(default=False, metadata=about("go on with an interrupted run"))
    overwrite: bool = field(default=False, metadata=about("replace the run in output_dir"))

    def __post_init__(self) -> None:
        check_limits(self)
