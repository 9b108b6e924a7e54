"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import check_smoothing

PRECISIONS = ("no", "bf16", "fp16")


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Batch size is that of one optimiser step over all processes and micro-batches together, so
    that neither changes the result.
    """

    epochs: int = field(default=3, metadata=_help("passes over the training split"))
    max_steps: int | None = field(default=None, metadata=_help("stop after so many steps"))
    batch_size: int = field(default=32, metadata=_help("sentences a step, over all processes"))
    accumulation: int = field(default=1, metadata=_help("micro-batches a step is cut into"))
    lr: float = field(default=2e-4, metadata=_help("peak learning rate of the network"))
    head_lr: float = field(default=1e-3, metadata=_help("peak learning rate of heads and gate"))
    embedding_lr: float | None = field(
        default=None,
        metadata=_help("peak learning rate of the word embeddings; that of the network when empty"),
    )
    weight_decay: float = field(default=0.01, metadata=_help("AdamW weight decay"))
    warmup: float = field(default=0.1, metadata=_help("share of the steps that warm up"))
    clip: float = field(default=1.0, metadata=_help("largest gradient norm; 0 for none"))
    objective: dict[str, Any] = field(
        default_factory=lambda: {"name": "halt_and_copy"},
        metadata=_help("how the exits are trained: name and settings"),
    )
    label_smoothing: float = field(
        default=0.0, metadata=_help("share of each target spread over all classes; 0 for none")
    )
    gradient_equilibrium: bool = field(
        default=False, metadata=_help("balance the exits' gradients (ElasticBERT)")
    )
    precision: str = field(default="no", metadata=_help("no, bf16 or fp16 autocast"))
    checkpoint_every: int | None = field(
        default=None, metadata=_help("steps between checkpoints; once an epoch when empty")
    )
    keep_best: bool = field(
        default=True,
        metadata=_help("keep the weights of the best evaluation, rather than the last"),
    )
    patience: int | None = field(
        default=None,
        metadata=_help("stop after so many evaluations without a better one; never when empty"),
    )
    log_every: int = field(default=20, metadata=_help("steps between log entries"))
    trackers: list[str] = field(
        default_factory=list, metadata=_help("besides the JSONL log: tensorboard, wandb, ...")
    )

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown_name("train.precision", self.precision, PRECISIONS)
        for name in ("epochs", "batch_size", "accumulation", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"train.{name} must be 1 or more, not {getattr(self, name)!r}.")
        for name in ("max_steps", "checkpoint_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"train.{name} must be 1 or more, not {value!r}.")
        for name in ("lr", "head_lr", "embedding_lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"train.{name} must be above 0, not {value!r}.")
        for name in ("clip", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise UserError(f"train.{name} must be 0 or more, not {getattr(self, name)!r}.")
        if not 0 <= self.warmup < 1:
            raise UserError(f"train.warmup must be from 0 to below 1, not {self.warmup!r}.")
        check_smoothing("train.label_smoothing", self.label_smoothing)
        if self.label_smoothing:
            # A setting of every objective, which is built from this mapping alone.
            smoothed = {**self.objective, "label_smoothing": self.label_smoothing}
            object.__setattr__(self, "objective", smoothed)
