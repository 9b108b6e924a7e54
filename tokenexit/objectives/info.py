"""What an objective may know of the batch it starts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tokenexit.objectives.teacher import Teacher
from tokenexit.reducers import Reducer


@dataclass(frozen=True)
class BatchInfo:
    """What an objective may know of the batch it starts on.

    Attributes:
        step: Optimiser step of the phase, from 0.
        progress: Share of the phase that is done, 0 to 1.
        seed: Seed of the phase.
        exit_layers: Depths with a head, the top included.
        num_words: Words in the batch.
        sentence: Place of each sentence in the step's whole batch over all processes and
            micro-batches, ``[S]``, so that draws do not depend on how it was cut; on the host.
        learned: What the objective itself learns, from ``Objective.learned``.
        device: Where the batch is computed.
        word_sentence: Number of each word's sentence in the batch, ``[W]``, on the host; None
            where only the device knows.
        word_place: Place of each word in its sentence, likewise.
        row_sentence: Number of each token row's sentence in the batch, ``[T]``, on the host.
        reducer: What takes rows out of the model's texts, if anything.
        teacher: The model that the phase learns from, ``train.teacher``; None without one.
        lower: Layers that embeddings stand for, whose states are those before the next layer.
        columns: What was computed before the phase, by name: ``[S, ...]`` of sentences,
            ``[W, ...]`` of words or ``[T, ...]`` of token rows, in the order of the batch.
    """

    step: int
    progress: float
    seed: int
    exit_layers: tuple[int, ...]
    num_words: int
    sentence: Tensor
    learned: Any = None
    device: torch.device = torch.device("cpu")  # noqa: RUF009
    word_sentence: Tensor | None = None
    word_place: Tensor | None = None
    row_sentence: Tensor | None = None
    reducer: Reducer | None = None
    teacher: Teacher | None = None
    lower: int = 0
    columns: Mapping[str, Tensor] = field(default_factory=dict)
