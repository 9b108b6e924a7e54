"""Settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenexit.config.limits import about, check_limits
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

    epochs: int = field(default=3, metadata=about("passes over the training split", low=1))
    max_steps: int | None = field(default=None, metadata=about("stop after so many steps", low=1))
    batch_size: int = field(
        default=32, metadata=about("sentences a step, over all processes", low=1)
    )
    accumulation: int = field(default=1, metadata=about("micro-batches a step is cut into", low=1))
    lr: float = field(default=2e-4, metadata=about("peak learning rate of the network", above=0))
    head_lr: float = field(
        default=1e-3, metadata=about("peak learning rate of heads and gate", above=0)
    )
    embedding_lr: float | None = field(
        default=None,
        metadata=about(
            "peak learning rate of the word embeddings; that of the network when empty", above=0
        ),
    )
    scorer_lr: float | None = field(
        default=None,
        metadata=about("peak learning rate of row scorers; that of heads when empty", above=0),
    )
    weight_decay: float = field(default=0.01, metadata=about("AdamW weight decay", low=0))
    warmup: float = field(
        default=0.1, metadata=about("share of the steps that warm up", low=0, below=1)
    )
    clip: float = field(default=1.0, metadata=about("largest gradient norm; 0 for none", low=0))
    objective: dict[str, Any] = field(
        default_factory=lambda: {"name": "halt_and_copy"},
        metadata=about("how the exits are trained: name and settings"),
    )
    label_smoothing: float = field(
        default=0.0, metadata=about("share of each target spread over all classes; 0 for none")
    )
    gradient_equilibrium: bool = field(
        default=False, metadata=about("balance the exits' gradients (ElasticBERT)")
    )
    bucket: bool | None = field(
        default=None,
        metadata=about(
            "whether a step's texts are of like length; when empty, pairs of texts are, tagged "
            "texts are not"
        ),
    )
    pad_to: int = field(
        default=1,
        metadata=about("pad pairs of texts to multiples of so many tokens; 8 suits GPUs", low=1),
    )
    precision: str = field(default="no", metadata=about("no, bf16 or fp16 autocast"))
    checkpoint_every: int | None = field(
        default=None, metadata=about("steps between checkpoints; once an epoch when empty", low=1)
    )
    keep_best: bool = field(
        default=True,
        metadata=about("keep the weights of the best evaluation, rather than the last"),
    )
    patience: int | None = field(
        default=None,
        metadata=about(
            "stop after so many evaluations without a better one; never when empty", low=1
        ),
    )
    freeze: list[str] = field(
        default_factory=list,
        metadata=about("parts that stay as they are: network, top, heads, gate, embeddings, ..."),
    )
    teacher: str | int | None = field(
        default=None,
        metadata=about("who teaches: previous (the model before), a phase's number, or a folder"),
    )
    splits: dict[str, float] = field(
        default_factory=dict,
        metadata=about("shares that the training texts are dealt into at random, by name"),
    )
    split: str | None = field(
        default=None,
        metadata=about("share of the texts to learn from, of splits; all if empty"),
    )
    prepare: list[dict[str, Any]] = field(
        default_factory=list,
        metadata=about("what is computed of the model and the texts before, or done to the model"),
    )
    phases: list[dict[str, Any]] = field(
        default_factory=list,
        metadata=about("trainings one after another: what each sets of train; just one if empty"),
    )
    log_every: int = field(default=20, metadata=about("steps between log entries", low=1))
    trackers: list[str] = field(
        default_factory=list, metadata=about("besides the JSONL log: tensorboard, wandb, ...")
    )

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
