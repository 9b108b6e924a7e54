"""Settings that every run has, and those of every training of one model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tokenexit.calibration import CalibrateConfig
from tokenexit.config.limits import SEED, THREADS, about, check_limits, setting
from tokenexit.training import TrainConfig


@dataclass(frozen=True)
class BaseConfig:
    """What trains is told, be it once or for each of several methods."""

    output_dir: str = field(metadata=about("run folder"))
    data: str | None = setting(None, "Hub id, folder or file")
    data_name: str | None = setting(None, "configuration of a Hub data set")
    group_column: str | None = setting(
        None, "column of the texts' documents; promises then count documents, not texts"
    )
    model: str | dict[str, Any] | None = setting(
        None, "Hub id or folder, or a description of a fresh small model"
    )
    exit_layers: list[int] | int | None = setting(
        None, "layers with an exit, from 1, or how many, evenly; all by default"
    )
    train: TrainConfig = field(default_factory=TrainConfig)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    batch_size: int = setting(32, "texts a batch when evaluating", low=1)
    train_on: int | None = setting(None, "training texts, drawn at random; all when empty", low=1)
    validate_on: int | None = setting(
        None, "validation texts, drawn at random; all when empty", low=1
    )
    test_on: int | None = setting(
        None, "test texts to measure on, drawn at random; all when empty", low=1
    )
    threads: int | None = setting(None, "threads torch computes with", low=1, high=THREADS)
    plugins: list[str] = setting(
        list, "your own .py files that register policies, heads, methods, ..."
    )

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class RunConfig(BaseConfig):
    """What a run of one model is told, whatever the model does."""

    model: str | dict[str, Any] = setting(
        "bert-base-cased", "Hub id or folder, or a description of a fresh small model"
    )
    method: str | None = setting(
        None, "a published system: sets heads, train and calibrate.policies"
    )
    policy: dict[str, Any] = setting(dict, "the policy; a few families are calibrated when empty")
    metric: str | None = setting(
        None, "figure that is the quality; the task's usual one when empty"
    )
    precision: Literal["fp32", "bf16", "fp16", "int8"] | None = setting(
        None, "what calibrating and evaluating compute with; as the weights if empty"
    )
    seed: int = setting(0, "of everything random", low=0, high=SEED)
    seeds: list[int] = setting(
        list, "several seeds, a run each in output_dir/seed-N", low=0, high=SEED
    )
    resume: bool = setting(False, "go on with an interrupted run")
    overwrite: bool = setting(False, "replace the run in output_dir")
