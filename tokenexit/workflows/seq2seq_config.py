"""Settings of a text-to-text recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tokenexit.calibration import CalibrateConfig
from tokenexit.training import TrainConfig


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Train, calibrate, evaluate and report a text generator with exits, into ``output_dir``."""

    output_dir: str = field(metadata=_help("run folder"))
    data: str | None = field(default=None, metadata=_help("Hub id, folder or file of pairs"))
    data_name: str | None = field(default=None, metadata=_help("configuration of a Hub data set"))
    task: Literal["translation", "data_to_text", "summarization"] = field(
        default="translation", metadata=_help("what the pairs are")
    )
    lang: str | None = field(
        default=None, metadata=_help("direction of a column of translations, such as en-de")
    )
    source_column: str | None = field(default=None, metadata=_help("column of the sources"))
    target_column: str | None = field(default=None, metadata=_help("column of the targets"))
    model: str | dict[str, Any] = field(
        default="google-t5/t5-small",
        metadata=_help("Hub id or folder, or a description of a fresh small model"),
    )
    exit_layers: list[int] | None = field(
        default=None, metadata=_help("decoder layers with an exit, from 1; all by default")
    )
    gate: bool = field(default=False, metadata=_help("train CALM's classifier as a gate"))
    depth: bool = field(
        default=False, metadata=_help("train Depth-Adaptive's prediction of the depth needed")
    )
    max_source: int = field(default=512, metadata=_help("tokens of a source; longer ones are cut"))
    max_target: int = field(default=128, metadata=_help("tokens of a target; longer ones are cut"))
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
    encoder_policy: dict[str, Any] = field(
        default_factory=dict,
        metadata=_help("policy of the source's tokens, in training too; none leaves when empty"),
    )
    pending: Literal["lazy", "eager", "parallel"] = field(
        default="lazy", metadata=_help("what tokens that left early give to later ones")
    )
    generation: dict[str, Any] = field(
        default_factory=lambda: {"max_new_tokens": 128},
        metadata=_help("arguments of generate when evaluating, such as num_beams"),
    )
    validate_on: int = field(
        default=200, metadata=_help("validation texts generated after each epoch")
    )
    batch_size: int = field(default=32, metadata=_help("texts a batch when evaluating"))
    threads: int | None = field(default=None, metadata=_help("threads torch computes with"))
    seed: int = field(default=0, metadata=_help("of everything random"))
    plugins: list[str] = field(
        default_factory=list,
        metadata=_help("your own .py files that register policies, objectives, ..."),
    )
    resume: bool = field(default=False, metadata=_help("go on with an interrupted run"))
    overwrite: bool = field(default=False, metadata=_help("replace the run in output_dir"))
