"""Settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tokenexit.config.limits import check_limits, setting
from tokenexit.config.schema import keys_of
from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import check_smoothing

PRECISIONS = ("no", "bf16", "fp16")

OF_THE_RUN = ("phases", "splits", "precision", "trackers")
"""Keys that a phase cannot have of its own."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Batch size is that of one optimiser step over all processes and micro-batches together, so
    that neither changes the result.
    """

    epochs: int = setting(3, "passes over the training split", low=1)
    max_steps: int | None = setting(None, "stop after so many steps", low=1)
    batch_size: int = setting(32, "sentences a step, over all processes", low=1)
    accumulation: int = setting(1, "micro-batches a step is cut into", low=1)
    lr: float = setting(2e-4, "peak learning rate of the network", above=0)
    head_lr: float = setting(1e-3, "peak learning rate of heads and gate", above=0)
    embedding_lr: float | None = setting(
        None, "peak learning rate of the word embeddings; that of the network when empty", above=0
    )
    scorer_lr: float | None = setting(
        None, "peak learning rate of row scorers; that of heads when empty", above=0
    )
    weight_decay: float = setting(0.01, "AdamW weight decay", low=0)
    warmup: float = setting(0.1, "share of the steps that warm up", low=0, below=1)
    clip: float = setting(1.0, "largest gradient norm; 0 for none", low=0)
    objective: dict[str, Any] = setting(
        lambda: {"name": "halt_and_copy"}, "how the exits are trained: name and settings"
    )
    label_smoothing: float = setting(
        0.0, "share of each target spread over all classes; 0 for none"
    )
    gradient_equilibrium: bool = setting(False, "balance the exits' gradients (ElasticBERT)")
    bucket: bool | None = setting(
        None,
        "whether a step's texts are of like length; when empty, pairs of texts are, tagged "
        "texts are not",
    )
    pad_to: int = setting(
        1, "pad pairs of texts to multiples of so many tokens; 8 suits GPUs", low=1
    )
    precision: str = setting("no", "no, bf16 or fp16 autocast")
    checkpoint_every: int | None = setting(
        None, "steps between checkpoints; once an epoch when empty", low=1
    )
    keep_best: bool = setting(True, "keep the weights of the best evaluation, rather than the last")
    patience: int | None = setting(
        None, "stop after so many evaluations without a better one; never when empty", low=1
    )
    freeze: list[str] = setting(
        list, "parts that stay as they are: network, top, heads, gate, embeddings, ..."
    )
    teacher: str | int | None = setting(
        None, "who teaches: previous (the model before), a phase's number, or a folder"
    )
    splits: dict[str, float] = setting(
        dict, "shares that the training texts are dealt into at random, by name"
    )
    split: str | None = setting(None, "share of the texts to learn from, of splits; all if empty")
    prepare: list[dict[str, Any]] = setting(
        list, "what is computed of the model and the texts before, or done to the model"
    )
    phases: list[dict[str, Any]] = setting(
        list, "trainings one after another: what each sets of train; just one if empty"
    )
    log_every: int = setting(20, "steps between log entries", low=1)
    trackers: list[str] = setting(list, "besides the JSONL log: tensorboard, wandb, ...")

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown_name("train.precision", self.precision, PRECISIONS)
        check_limits(self, "train.")
        check_smoothing("train.label_smoothing", self.label_smoothing)
        if self.label_smoothing:
            # A setting of every objective, which is built from this mapping alone.
            smoothed = {**self.objective, "label_smoothing": self.label_smoothing}
            object.__setattr__(self, "objective", smoothed)
        _check_shares(self.splits)
        self.each()

    def each(self) -> list[TrainConfig]:
        """The settings of each phase; these alone where there are none.

        Raises:
            UserError: A phase has an unknown key, one that is the whole run's, or a bad value.
        """
        if not self.phases:
            return [self]
        return [_phase(self, told, f"train.phases[{n}]") for n, told in enumerate(self.phases)]


def _phase(config: TrainConfig, told: Mapping[str, Any], name: str) -> TrainConfig:
    keys = {key.name: key for key in keys_of(TrainConfig) if key.name not in OF_THE_RUN}
    own: dict[str, Any] = {}
    for key, value in told.items():
        if key in OF_THE_RUN:
            raise UserError(f"{name} sets {key!r}, which all phases share: set train.{key}.")
        if key not in keys:
            raise unknown_name(f"key of {name}", key, keys)
        own[key] = replace(keys[key], name=f"{name}.{key}").check(value)
    objective, below = own.get("objective", {}), dict(config.objective)
    if config.label_smoothing:
        below.pop("label_smoothing")  # put there by the setting, which a phase may change
    if objective.get("name", below.get("name")) == below.get("name"):
        objective = {**below, **objective}
    own["objective"] = objective
    try:
        return replace(config, phases=[], **own)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def _check_shares(splits: Mapping[str, float]) -> None:
    for name, share in splits.items():
        if not 0 < share <= 1:
            raise UserError(f"train.splits.{name} must be above 0 and at most 1, not {share!r}.")
    if sum(splits.values()) > 1 + 1e-9:
        told = ", ".join(f"{name}={share}" for name, share in splits.items())
        raise UserError(f"train.splits are shares of the texts, at most 1 together, not {told}.")
