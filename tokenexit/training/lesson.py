"""One batch through the network under an objective, as one module for Accelerate to wrap."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.halting import encode, pack
from tokenexit.models.token_classification import ExitModelForTokenClassification
from tokenexit.objectives import Lesson, Objective, Occasion
from tokenexit.objectives.equilibrium import balanced
from tokenexit.signals import Signals
from tokenexit.training.batches import MicroBatch


@dataclass
class Losses:
    """What one micro-batch gave.

    Attributes:
        total: To be minimised; a sum over words.
        by_layer: Sum of cross-entropy and number of labelled words at each exit that had a loss.
    """

    total: Tensor
    by_layer: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Classroom(nn.Module):
    """Holds the model being trained; ``forward`` gives a loss.

    Args:
        model: The tagger.
        objective: How its exits are trained.
        gradient_equilibrium: Whether to balance the exits' gradients.
    """

    def __init__(
        self,
        model: ExitModelForTokenClassification,
        objective: Objective,
        gradient_equilibrium: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._objective = objective
        self._balance = gradient_equilibrium

    def forward(self, part: MicroBatch, step: int, progress: float, seed: int) -> Losses:
        """Loss of one micro-batch, summed over words.

        Args:
            part: Its sentences.
            step: Optimiser step.
            progress: Share of the training that is done.
            seed: Seed of the run.
        """
        model = self.model
        batch = pack(part.sentences, model.device)
        exits = model.settings.exit_layers
        lesson = self._objective.start(
            Occasion(
                step=step,
                progress=progress,
                seed=seed,
                exit_layers=exits,
                num_words=batch.num_words,
                sentence=torch.tensor([part.places[i] for i in batch.order], device=model.device),
            )
        )
        visitor = lesson if model.heads.gate is None else _WithGate(lesson)
        fork = balanced(lesson.fork, exits) if self._balance else lesson.fork
        encode(model.backbone, model.heads, batch, visitor, classes=model.labels, fork=fork)
        total = lesson.loss()
        if isinstance(visitor, _WithGate):
            total = total + visitor.loss
        return Losses(total, lesson.by_layer)


class _WithGate:
    """Teaches the gate, beside any objective, to tell when an exit is wrong (BERxiT)."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self.loss: Tensor | float = 0.0

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        halt = self._lesson.arrive(signals, words)
        assert signals.gate_head is not None and signals.target is not None
        if signals.layer < signals.num_layers:
            known = signals.target != -100
            wrong = (signals.logits.argmax(dim=-1) != signals.target)[known].float()
            guess = signals.gate_head(signals.hidden.detach()[known])
            self.loss = self.loss + F.mse_loss(guess, wrong, reduction="sum")
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        self._lesson.leave(halted, staying)
