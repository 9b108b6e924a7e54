"""Settings of pre-training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from tokenexit.config.limits import SEED, THREADS, about, check_limits
from tokenexit.training import TrainConfig


def _training() -> TrainConfig:
    return TrainConfig(epochs=1, lr=1e-4, head_lr=5e-4, objective={"name": "grouped", "groups": 2})


@dataclass(frozen=True)
class PretrainConfig:
    """Pre-train an encoder on running text with a head for masked tokens at every exit.

    What is written to ``output_dir`` is an ordinary encoder, from which recipes start with
    ``model=``.
    """

    output_dir: str = field(metadata=about("run folder"))
    data: str | None = field(
        default=None,
        metadata=about(
            "Hub id, folder or file with a column of texts, or .txt files of paragraphs; "
            "generated text when empty"
        ),
    )
    data_name: str | None = field(default=None, metadata=about("configuration of a Hub data set"))
    column: str | None = field(
        default=None, metadata=about("column of the texts; text or sentence by default")
    )
    model: str | dict[str, Any] = field(
        default="bert-base-uncased",
        metadata=about("Hub id or folder to go on from, or a description of a fresh model"),
    )
    exit_layers: list[int] | None = field(
        default=None, metadata=about("layers with an exit, from 1; all by default")
    )
    mask: float = field(
        default=0.15, metadata=about("share of the tokens to mask", above=0, below=1)
    )
    whole_words: bool = field(
        default=False, metadata=about("mask words with all their tokens, not tokens")
    )
    max_length: int = field(
        default=128, metadata=about("tokens a window, special tokens included", low=8)
    )
    train: TrainConfig = field(default_factory=_training)
    batch_size: int = field(default=32, metadata=about("windows a batch when evaluating", low=1))
    train_on: int | None = field(
        default=None, metadata=about("training texts, drawn at random; all when empty", low=1)
    )
    validate_on: int = field(
        default=500,
        metadata=about("texts to measure on, of the validation split or held out", low=1),
    )
    threads: int | None = field(
        default=None, metadata=about("threads torch computes with", low=1, high=THREADS)
    )
    plugins: list[str] = field(
        default_factory=list, metadata=about("your own .py files that register objectives, ...")
    )
    seed: int = field(default=0, metadata=about("of everything random", low=0, high=SEED))
    resume: bool = field(default=False, metadata=about("go on with an interrupted run"))
    overwrite: bool = field(default=False, metadata=about("replace the run in output_dir"))

    precision: ClassVar[None] = None
    """A run folder asks with what inference computes; here is none."""

    def __post_init__(self) -> None:
        check_limits(self)
