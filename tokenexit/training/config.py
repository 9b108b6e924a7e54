"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tokenexit.config.limits import about, check_limits
from tokenexit.errors import unknown_name
from tokenexit.objectives.base import check_smoothing

PRECISIONS = ("no", "bf16", "fp16")


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
