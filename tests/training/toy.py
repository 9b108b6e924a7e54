"""The tagger of ``tokenexit.testing``, and how it is trained here.

Loaded by path from the fixtures, and imported by ``worker.py`` in processes of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

from tokenexit.halting import Sentence
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.testing.tagger import LABELS, WORDS
from tokenexit.testing.tagger import tiny_sentences as sentences
from tokenexit.testing.tagger import tiny_tagger as build
from tokenexit.testing.tagger import tiny_tokenizer as tokenizer
from tokenexit.training import TrainConfig, make_accelerator, train

__all__ = ["LABELS", "WORDS", "build", "fit", "sentences", "tokenizer", "weights"]


def fit(
    model: ExitModelForTokenClassification,
    examples: list[Sentence],
    folder: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    evaluate: Any = None,
    accelerator: Any = None,
    **settings: Any,
) -> Any:
    """Train with settings that suit the toy, on an accelerator of its own unless given one."""
    defaults = {"batch_size": 4, "lr": 5e-3, "head_lr": 1e-2, "log_every": 1}
    config = TrainConfig(**{"objective": {"name": "joint"}, **defaults, **settings})
    if accelerator is None:
        AcceleratorState._reset_state(True)  # a process can have one kind of accelerator only
        accelerator = make_accelerator(config, folder)
    return train(
        model,
        examples,
        config,
        accelerator=accelerator,
        folder=folder,
        seed=seed,
        resume=resume,
        evaluate=evaluate,
    )


def weights(model: ExitModelForTokenClassification) -> dict[str, torch.Tensor]:
    """A copy of every weight."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
